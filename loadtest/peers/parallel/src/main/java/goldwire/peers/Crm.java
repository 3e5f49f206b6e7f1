package goldwire.peers;

import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import io.confluent.parallelconsumer.PollContext;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Golden records into a CRM: old versions dropped, 200 rows a call, several calls at the same time.
 *
 * <p>Parallel Consumer runs unordered, since the records have no keys and an entity's versions are in
 * any partition. The order that matters, newest last for each entity, is kept by {@link Desk}.
 */
final class Crm {
    private static final Logger LOG = LoggerFactory.getLogger(Crm.class);

    private final Desk desk;
    private final Salesforce org;
    private final DeadLetters deadLetters;
    private final Writer writer;
    private final ParallelStreamProcessor<String, byte[]> processor;
    private final LongAdder records = new LongAdder();

    private Crm(Options options) {
        String bootstrap = options.text("bootstrap");
        int inFlight = options.number("in-flight", 8);
        // More threads than calls, so that rows for the next call gather while calls are in flight.
        int threads = options.number("threads", 4 * inFlight);
        int buffer = options.number("buffer", 0);
        int poll = options.number("poll-records", 2_000);
        int fetch = options.number("fetch-bytes", 8 << 20);
        int linger = options.number("linger-ms", 5);
        Fields fields = new Fields(options);
        desk = new Desk(inFlight, linger);
        org = new Salesforce(options, fields);
        deadLetters = new DeadLetters(bootstrap, options.text("dead-letters"));
        writer = new Writer(fields, org, deadLetters, desk);
        processor = ParallelStreamProcessor.createEosStreamProcessor(
                ParallelConsumerOptions.<String, byte[]>builder()
                        .consumer(Clients.consumer(
                                bootstrap, options.text("group"), poll, fetch))
                        .ordering(ProcessingOrder.UNORDERED)
                        .maxConcurrency(threads)
                        .batchSize(Desk.ROWS)
                        .messageBufferSize(buffer)
                        .build());
        Told.settings("crm", Map.of("ordering", "UNORDERED", "max_concurrency", threads,
                "calls_in_flight", inFlight, "batch_size", Desk.ROWS, "linger_ms", linger,
                "message_buffer_size", buffer, "max_poll_records", poll,
                "max_partition_fetch_bytes", fetch, "api_version", "v62.0"));
    }

    /** Works until SIGTERM. */
    static void run(Options options) throws Exception {
        Crm crm = new Crm(options);
        var ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            crm.close();
            ended.countDown();
        }));
        crm.processor.subscribe(List.of(options.text("from")));
        crm.processor.poll(crm::handle);
        ended.await();
    }

    private void handle(PollContext<String, byte[]> context) {
        try {
            Row.Batch batch = new Row.Batch();
            List<Row> rows = new ArrayList<>();
            for (ConsumerRecord<String, byte[]> record : context.getConsumerRecordsFlattened()) {
                records.increment();
                Row row = Row.of(record, batch);
                if (row == null) {
                    deadLetters.put(record, "bad_headers");
                } else {
                    rows.add(row);
                }
            }
            desk.offer(rows);
            for (var taken = desk.take(batch); !taken.isEmpty(); taken = desk.take(batch)) {
                call(taken);
            }
        } catch (InterruptedException why) {
            // It ends: what has no end yet is not committed, and comes again.
            throw new IllegalStateException(why);
        } catch (RuntimeException | Error why) {
            // Parallel Consumer would try for ever, while the rows taken stay taken.
            LOG.error("it cannot go on", why);
            Runtime.getRuntime().halt(1);
        }
    }

    private void call(List<Row> taken) throws InterruptedException {
        try {
            writer.write(taken);
        } finally {
            desk.callEnded();
        }
    }

    private void close() {
        processor.closeDontDrainFirst();
        deadLetters.close();
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("records", records.sum());
        told.put("dropped", desk.dropped());
        told.put("calls", org.calls());
        told.put("rows", writer.rows());
        told.put("dead_letters", deadLetters.count());
        told.put("cpu_seconds", Told.cpuSeconds());
        Told.line(told);
    }
}
