package goldwire.peers;

import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import io.confluent.parallelconsumer.internal.AbstractParallelEoSStreamProcessor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** The workload of Parallel Consumer's README: each record waits a moment, in order per key. */
final class Wait {
    private final String bootstrap;
    private final String from;
    private final int records;
    private final int longestMs;
    private final int seed;
    private final Map<String, Integer> versions = new ConcurrentHashMap<>();
    private final AtomicInteger taken = new AtomicInteger();
    private final CountDownLatch left;
    private final AtomicLong first = new AtomicLong();
    private final AtomicLong last = new AtomicLong();
    private final LongAdder slept = new LongAdder();
    private final AtomicReference<String> disorder = new AtomicReference<>();

    private Wait(Options options) {
        bootstrap = options.text("bootstrap");
        from = options.text("from");
        records = options.number("records", 10_000);
        longestMs = options.number("longest-ms", 5);
        seed = options.number("seed", 1);
        left = new CountDownLatch(records);
    }

    /** Handles the records, after as many unmeasured passes as asked for, and prints what it took. */
    static void run(Options options) throws Exception {
        String group = options.text("group");
        int inFlight = options.number("in-flight", 100);
        int buffer = options.number("buffer", 0);
        int poll = options.number("poll-records", 500);
        int warmUps = options.number("warm-ups", 0);
        Told.settings("wait", Map.of("ordering", "KEY", "max_concurrency", inFlight,
                "message_buffer_size", buffer, "max_poll_records", poll, "warm_ups", warmUps));
        for (int pass = 1; pass <= warmUps; pass++) {
            new Wait(options).pass(group + "-warm-up-" + pass, inFlight, buffer, poll);
        }
        double before = warmUps == 0 ? 0 : Told.cpuSeconds();
        Wait wait = new Wait(options);
        wait.pass(group, inFlight, buffer, poll);
        wait.tell(inFlight, before);
    }

    private void pass(String group, int inFlight, int buffer, int poll) throws Exception {
        ParallelStreamProcessor<String, byte[]> processor =
                ParallelStreamProcessor.createEosStreamProcessor(
                        ParallelConsumerOptions.<String, byte[]>builder()
                                .consumer(Clients.consumer(bootstrap, group, poll, 1 << 20))
                                .ordering(ProcessingOrder.KEY)
                                .maxConcurrency(inFlight)
                                .messageBufferSize(buffer)
                                .build());
        processor.subscribe(List.of(from));
        processor.poll(context -> handle(context.getSingleConsumerRecord()));
        while (!left.await(100, TimeUnit.MILLISECONDS)) {
            if (processor.isClosedOrFailed()) {
                throw new IllegalStateException("Parallel Consumer failed", cause(processor));
            }
        }
        processor.closeDontDrainFirst();
        if (disorder.get() != null) {
            throw new IllegalStateException(disorder.get());
        }
    }

    private static Throwable cause(ParallelStreamProcessor<?, ?> processor) {
        return ((AbstractParallelEoSStreamProcessor<?, ?>) processor).getFailureCause();
    }

    private void handle(ConsumerRecord<String, byte[]> record) {
        first.compareAndSet(0, System.nanoTime());
        if (taken.incrementAndGet() > records) {
            return;
        }
        int version = Integer.parseInt(Clients.header(record, "objectVersion"));
        int before = versions.getOrDefault(record.key(), 0);
        if (before + 1 != version) {
            disorder.set(record.key() + ": version " + version + " after " + before);
        }
        sleep(record.offset());
        // Behind the wait, so that two records of one key at the same time are seen.
        versions.put(record.key(), version);
        last.accumulateAndGet(System.nanoTime(), Math::max);
        left.countDown();
    }

    /** How long follows from the record's place, so that threads need not share a generator. */
    private void sleep(long offset) {
        int ms = new SplittableRandom(seed * 1_000_003L + offset).nextInt(longestMs + 1);
        long began = System.nanoTime();
        try {
            Thread.sleep(ms);
        } catch (InterruptedException why) {
            throw new IllegalStateException(why);
        }
        slept.add(System.nanoTime() - began);
    }

    private void tell(int inFlight, double cpuBefore) throws Exception {
        double allowed = slept.sum() / 1e9 / inFlight;
        double seconds = (last.get() - first.get()) / 1e9;
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("allowed_seconds", allowed);
        told.put("seconds", seconds);
        told.put("ratio", seconds / allowed);
        told.put("cpu_seconds", Told.cpuSeconds() - cpuBefore);
        told.put("peak_mib", Told.peakMib());
        Told.line(told);
    }
}
