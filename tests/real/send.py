"""Sends events: by confluent-kafka to a topic, as signed webhooks over HTTPS."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer
from standardwebhooks.webhooks import Webhook

import kafka
from generator import Event
from goldwire import RELTIO_SECRET, STANDARD_SECRET
from lib import Failed


class TopicSender(threading.Thread):
    """Produces events at a steady rate; brokers may go away meanwhile.

    The last tenth is held back until `release`, so that there is something to do until then; what is
    left at a release goes as fast as the brokers take it.
    """

    def __init__(self, brokers: kafka.Brokers, topic: str, partitions: int, events: list[Event], rate: int) -> None:
        super().__init__(daemon=True)
        self.topic, self.partitions, self.events, self.rate = topic, partitions, events, rate
        self.sent = 0
        self.released = threading.Event()
        self.errors: list[str] = []
        self.producer = Producer(
            {
                **brokers.client(),
                "enable.idempotence": True,
                "message.timeout.ms": 300_000,
                "linger.ms": 20,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        """Sends everything and waits for the broker's acknowledgements."""
        began, held = time.monotonic(), len(self.events) * 9 // 10
        for number, event in enumerate(self.events):
            if number == held:
                self.producer.flush(60)
                self.released.wait(600)
            # A partition that has nothing to do with the subject: order is not to be relied upon.
            self._produce(event, number % self.partitions)
            self.sent = number + 1
            ahead = self.sent / self.rate - (time.monotonic() - began)
            if ahead > 0.05 and not self.released.is_set():
                self.producer.poll(ahead)
        if self.producer.flush(300) > 0:
            self.errors.append("not every record was acknowledged")

    def release(self) -> TopicSender:
        """Sends the rest too."""
        self.released.set()
        return self

    def _produce(self, event: Event, partition: int) -> None:
        headers = list(event.headers().items())
        while True:
            try:
                self.producer.produce(
                    self.topic, event.body, partition=partition, headers=headers, on_delivery=self._done
                )
                self.producer.poll(0)
                return
            except BufferError:
                self.producer.poll(0.1)

    def _done(self, error: object, _: object) -> None:
        if error is not None:
            self.errors.append(str(error))


class HookSender(threading.Thread):
    """Posts events over HTTPS, again and again until each is answered 200, as a sender does. With
    several ports it goes to the next one when one does not answer so, as a load balancer does."""

    def __init__(self, scheme: str, ports: list[int], ca: Path, events: list[Event], rate: float) -> None:
        super().__init__(daemon=True)
        self.scheme, self.ports, self.events, self.rate = scheme, ports.copy(), events, rate
        self.tls = ssl.create_default_context(cafile=str(ca))
        self.connection: http.client.HTTPSConnection | None = None
        self.accepted = self.refused = 0
        self.errors: list[str] = []

    def run(self) -> None:
        """Sends every event, one after the other."""
        began = time.monotonic()
        for number, event in enumerate(self.events):
            ahead = number / self.rate - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
            try:
                self._deliver(event)
            except Failed as failed:
                self.errors.append(str(failed))
                return

    def _deliver(self, event: Event) -> None:
        message, end = f"msg_{uuid.uuid4().hex}", time.monotonic() + 300
        while time.monotonic() < end:
            status = self._post(event, message)
            if status == 200:
                self.accepted += 1
                return
            self.refused += 1
            self._go_on()
            if status in (400, 401, 404, 405, 413, 415):
                raise Failed(f"a {self.scheme} webhook was answered {status}")
            time.sleep(0.2)
        raise Failed(f"a {self.scheme} webhook was not accepted within 5 minutes")

    def _post(self, event: Event, message: str) -> int:
        """One attempt: the status, or 0 if there was no answer."""
        path = "/standard" if self.scheme == "standard" else "/reltio-webhook"
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.ports[0], timeout=10, context=self.tls
                )
            headers = {**event.headers(), **self._signature(event.body, message)}
            self.connection.request("POST", path, event.body, headers)
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0

    def _go_on(self) -> None:
        """The next attempt is a new connection, to the next port."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None
        self.ports.append(self.ports.pop(0))

    def _signature(self, body: bytes, message: str) -> dict[str, str]:
        if self.scheme == "standard":
            now = datetime.now(tz=UTC)
            signature = Webhook(STANDARD_SECRET).sign(message, now, body.decode())
            return {
                "webhook-id": message,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signature,
                "content-type": "application/json",
            }
        return {"X-Reltio-Signature": openssl_hmac(RELTIO_SECRET, body), "content-type": "application/json"}


def openssl_hmac(secret: str, body: bytes) -> str:
    """`openssl dgst -sha256 -hmac`, in hex."""
    words = ["openssl", "dgst", "-sha256", "-hmac", secret]
    done = subprocess.run(words, input=body, capture_output=True, check=True, timeout=30)
    return done.stdout.decode().strip().rsplit(" ", 1)[-1]
