package goldwire.peers;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TopicExistsException;

/** Fills a topic of one partition for {@link Wait}: Reltio's events, random keys, versions in order. */
final class FillWait {
    /** 2025-01-01T00:00:00Z in ms. */
    private static final long BEGIN = 1_735_689_600_000L;
    /** Between two versions of an entity, ms. */
    private static final long STEP = 60_000;
    private static final String TYPE = "configuration/entityTypes/Individual";

    private FillWait() {}

    /** Writes the records, and prints how many and how large they are as JSON. */
    static void run(Options options) throws Exception {
        String bootstrap = options.text("bootstrap");
        String topic = options.text("to");
        int records = options.number("records", 10_000);
        int valueBytes = options.number("value-bytes", 1_500);
        int[] versions = new int[options.number("keys", 1_000)];
        var random = new SplittableRandom(options.number("seed", 1));
        create(bootstrap, topic);
        long bytes = 0;
        try (var producer = Clients.producer(bootstrap)) {
            for (int sent = 0; sent < records; sent++) {
                int key = random.nextInt(versions.length);
                versions[key]++;
                var record = record(topic, key, versions[key], valueBytes);
                bytes += record.value().length;
                producer.send(record, (metadata, why) -> {
                    if (why != null) {
                        throw new IllegalStateException(why);
                    }
                });
            }
            producer.flush();
        }
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("events", records);
        told.put("bytes", bytes);
        Told.line(told);
    }

    private static void create(String bootstrap, String topic) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", (Object) bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, Optional.of(1), Optional.empty())))
                    .all()
                    .get();
        } catch (ExecutionException why) {
            if (!(why.getCause() instanceof TopicExistsException)) {
                throw why;
            }
        }
    }

    private static ProducerRecord<String, byte[]> record(
            String topic, int key, int version, int valueBytes) {
        String uri = String.format("entities/%08d", key);
        String event = version == 1 ? "ENTITY_CREATED" : "ENTITY_CHANGED";
        long commitTime = BEGIN + key + version * STEP;
        byte[] value = value(event, uri, version, valueBytes).getBytes(StandardCharsets.UTF_8);
        var record = new ProducerRecord<>(topic, 0, uri, value);
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("tenantId", "acme");
        headers.put("eventType", event);
        headers.put("sourceObjectUri", uri);
        headers.put("objectVersion", Integer.toString(version));
        headers.put("commitTime", Long.toString(commitTime));
        headers.forEach((name, text) ->
                record.headers().add(name, text.getBytes(StandardCharsets.UTF_8)));
        return record;
    }

    /** An event's JSON, made as long as it is to be by its notes. */
    private static String value(String event, String uri, int version, int bytes) {
        String head = "{\"type\":\"" + event + "\",\"uri\":\"" + uri + "\",\"object\":{\"uri\":\""
                + uri + "\",\"type\":\"" + TYPE + "\",\"attributes\":{"
                + attribute(uri, "Seq", uri + "@" + version) + ",";
        String tail = "},\"crosswalks\":[{\"uri\":\"" + uri + "/crosswalks/1\",\"type\":"
                + "\"configuration/sources/CRM\",\"value\":\"C-" + uri.substring(9) + "\"}]}}";
        int left = bytes - head.length() - tail.length() - attribute(uri, "Notes", "").length();
        return head + attribute(uri, "Notes", "x".repeat(left)) + tail;
    }

    private static String attribute(String uri, String name, String value) {
        return "\"" + name + "\":[{\"type\":\"" + TYPE + "/attributes/" + name
                + "\",\"ov\":true,\"value\":\"" + value + "\",\"uri\":\"" + uri + "/attributes/"
                + name + "/1\"}]";
    }
}
