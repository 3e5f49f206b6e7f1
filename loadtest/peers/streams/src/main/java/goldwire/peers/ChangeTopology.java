package goldwire.peers;

import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The topology: source topic, one pass over the body, repartition topic by the entity's URI, newest
 * version of each entity, target topics.
 */
final class ChangeTopology {
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();

    private ChangeTopology() {}

    /** Builds it. */
    static Topology of(Options options, Properties settings) {
        StreamsBuilder builder = new StreamsBuilder(new TopologyConfig(new StreamsConfig(settings)));
        builder.addStateStore(newestVersions());
        KStream<byte[], byte[]> newest = builder
            .stream(options.from(), Consumed.with(BYTES, new ChangeSerde()).withName("events"))
            .process(ByUri::new, Named.as("by-uri"))
            .repartition(Repartitioned.with(BYTES, BYTES)
                .withName("changes")
                .withNumberOfPartitions(options.partitions()))
            .process(KeepNewest::new, Named.as("keep-newest"), KeepNewest.STORE);
        for (String topic : options.to()) {
            newest.to(topic, Produced.with(BYTES, BYTES).withName("to-" + topic));
        }
        return builder.build(settings);
    }

    /** On disk, with a changelog topic, and with the record cache that the DSL's stores have. */
    private static StoreBuilder<? extends KeyValueStore<?, byte[]>> newestVersions() {
        return Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(KeepNewest.STORE), Serdes.Bytes(), BYTES)
            .withCachingEnabled();
    }

    /** Makes a record of a change: its key is the URI, its value the object. */
    private static final class ByUri extends ContextualProcessor<byte[], Change, byte[], byte[]> {
        @Override
        public void process(Record<byte[], Change> record) {
            Change change = record.value();
            context().forward(new Record<>(
                change.uri(), change.object(), record.timestamp(), ChangeHeaders.of(change)));
        }
    }
}
