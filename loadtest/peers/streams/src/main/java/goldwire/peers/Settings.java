package goldwire.peers;

import java.io.StringWriter;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.LogAndContinueExceptionHandler;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** The configuration of Kafka Streams. The reasons stand in {@link Main}. */
final class Settings {
    private Settings() {}

    /** What is set; everything else has its default. */
    static Properties of(Options options) {
        Properties set = new Properties();
        set.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.bootstrap());
        set.put(StreamsConfig.APPLICATION_ID_CONFIG, options.application());
        set.put(StreamsConfig.STATE_DIR_CONFIG, options.state());
        set.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, options.guarantee());
        set.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, options.threads());
        set.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        set.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        set.put(StreamsConfig.ENSURE_EXPLICIT_INTERNAL_RESOURCE_NAMING_CONFIG, true);
        set.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, BoundedMemoryRocksDbConfig.class);
        set.put(
            StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG,
            LogAndContinueExceptionHandler.class);
        set.put(StreamsConfig.ERRORS_DEAD_LETTER_QUEUE_TOPIC_NAME_CONFIG, options.deadLetters());
        if (options.commitIntervalMs() != null) {
            set.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, options.commitIntervalMs());
        }
        consumer(set, ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        producer(set, ProducerConfig.BATCH_SIZE_CONFIG, 128 << 10);
        producer(set, ProducerConfig.LINGER_MS_CONFIG, 100);
        producer(set, ProducerConfig.COMPRESSION_TYPE_CONFIG, options.compression());
        producer(set, ProducerConfig.ACKS_CONFIG, "all");
        return set;
    }

    /** One line of JSON: what is set, what the defaults are that matter, and RocksDB's bounds. */
    static String json(Options options, Properties set) {
        TreeMap<String, Object> all = new TreeMap<>();
        set.forEach((name, value) -> all.put(name.toString(), value));
        StreamsConfig effective = new StreamsConfig(set);
        for (String name : new String[] {
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG,
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG,
            StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG,
            StreamsConfig.GROUP_PROTOCOL_CONFIG,
        }) {
            all.put(name, effective.values().get(name));
        }
        all.put("from", options.from());
        all.put("to", String.join(",", options.to()));
        all.put("repartition.partitions", options.partitions());
        all.put("rocksdb.total.bytes", BoundedMemoryRocksDbConfig.TOTAL_BYTES);
        all.put("rocksdb.memtable.bytes", BoundedMemoryRocksDbConfig.MEMTABLE_BYTES);
        StringWriter out = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(ObjectWriteContext.empty(), out)) {
            json.writeStartObject();
            all.forEach((name, value) -> write(json, name, value));
            json.writeEndObject();
        }
        return out.toString();
    }

    private static void write(JsonGenerator json, String name, Object value) {
        if (value instanceof Number number) {
            json.writeNumberProperty(name, number.longValue());
        } else if (value instanceof Boolean flag) {
            json.writeBooleanProperty(name, flag);
        } else if (value instanceof Class<?> type) {
            json.writeStringProperty(name, type.getName());
        } else {
            json.writeStringProperty(name, String.valueOf(value));
        }
    }

    private static void consumer(Properties set, String name, Object value) {
        set.put(StreamsConfig.mainConsumerPrefix(name), value);
    }

    private static void producer(Properties set, String name, Object value) {
        set.put(StreamsConfig.producerPrefix(name), value);
    }
}
