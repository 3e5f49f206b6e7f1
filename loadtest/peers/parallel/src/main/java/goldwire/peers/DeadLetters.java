package goldwire.peers;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Records that the CRM does not take, in a topic, with the reason in a header. */
final class DeadLetters implements AutoCloseable {
    private final Producer<String, byte[]> producer;
    private final String topic;
    private final LongAdder count = new LongAdder();

    DeadLetters(String bootstrap, String topic) {
        producer = Clients.producer(bootstrap);
        this.topic = topic;
    }

    /** Writes a record, and returns when the topic has it. */
    void put(ConsumerRecord<String, byte[]> record, String reason) throws InterruptedException {
        var letter = new ProducerRecord<>(
                topic, null, record.key(), record.value(), record.headers());
        letter.headers().add("reason", reason.getBytes(StandardCharsets.UTF_8));
        try {
            producer.send(letter).get();
        } catch (ExecutionException why) {
            throw new IllegalStateException("the dead letter topic takes nothing", why);
        }
        count.increment();
    }

    /** Records written so far. */
    long count() {
        return count.sum();
    }

    @Override
    public void close() {
        producer.close();
    }
}
