package goldwire.peers;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * goldwire's work done with Kafka Streams: events of a topic, old versions dropped, the newest
 * snapshot of each entity to every target topic.
 *
 * <p>Options: {@code --bootstrap --application --from --to (repeated) --dead-letters --state}, and
 * with defaults {@code --guarantee at_least_once --partitions 4 --threads 2 --compression none
 * --commit-interval-ms (of Kafka Streams)}. The first line on stdout is the settings as JSON.
 *
 * <p>What is done so that this is as good as Kafka Streams can be:
 * <ul>
 * <li>The body is read once, before the repartition topic. Only the object and three headers travel
 *     through it, so nothing is parsed behind it.
 * <li>The repartition topic is a must: records have no keys, and versions of one entity lie in all
 *     partitions. It is explicit, with as many partitions as the source.
 * <li>The store holds 16 bytes for each entity, on disk, with a changelog topic. Its record cache is
 *     on, as it is for the stores of the DSL: what changes twice between commits is written once.
 * <li>The record cache ({@code statestore.cache.max.bytes}) has its default, 10 MiB.
 * <li>{@code rocksdb.config.setter}: one block cache of 128 MiB for all partitions, of which up to
 *     64 MiB are memtables. The memory management page advises this to bound memory. Single
 *     memtables have their default size.
 * <li>{@code num.stream.threads=2}: the comparison runs on two cores.
 * <li>{@code topology.optimization=all}: on, as advised; there is nothing here that it can merge.
 * <li>{@code commit.interval.ms}: the defaults, 30 s, and 100 ms with exactly_once_v2.
 * <li>{@code linger.ms=100}: Kafka Streams' own default, named so that it is seen.
 *     {@code batch.size} of 128 KiB: guides to throughput say 100 to 200 kB.
 * <li>{@code compression.type=none}: the broker is on the same machine and goldwire does not compress
 *     either; guides to throughput say lz4, which {@code --compression lz4} sets.
 * <li>{@code acks=all}: the default; anything less could lose events.
 * <li>{@code errors.dead.letter.queue.topic.name} with the handler that logs and goes on: Kafka
 *     Streams' own way to a dead-letter topic, with the raw record and headers that say the error.
 * <li>{@code auto.offset.reset=earliest}: all events count. {@code replication.factor=1}: there is a
 *     single broker.
 * <li>{@code ensure.explicit.internal.resource.naming}: names that stay if the topology changes.
 * </ul>
 *
 * <p>The Java machine: {@code -Xmx512m -XX:+UseParallelGC}. By estimate at most 200 MiB are alive:
 * two producers' buffers of 32 MiB, fetched batches, the record cache. Twice that keeps collections
 * rare. The parallel collector has the least overhead for throughput on two cores; G1's work beside
 * the program would take from the same two cores, and short pauses are of no use here.
 */
public final class Main {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Main() {}

    /** Runs until SIGTERM, or until a thread fails, which is exit code 1. */
    public static void main(String[] words) throws InterruptedException {
        Options options;
        try {
            options = Options.parse(words);
        } catch (IllegalArgumentException error) {
            System.err.println(error.getMessage());
            System.exit(2);
            return;
        }
        Properties settings = Settings.of(options);
        System.out.println(Settings.json(options, settings));
        KafkaStreams streams = new KafkaStreams(ChangeTopology.of(options, settings), settings);
        CountDownLatch failed = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            failed.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(streams), "close"));
        streams.start();
        failed.await();
        System.exit(1);
    }

    /** Commits, and leaves the group, so that a restart need not wait for a session to time out. */
    private static void close(KafkaStreams streams) {
        streams.close(CloseOptions.timeout(PATIENCE)
            .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
    }
}
