package goldwire.peers;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.components.Versioned;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.header.Headers;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Makes a row with a schema out of one of Reltio's records, whose value and headers have to be the
 * bytes as they came. A record that is no event of Reltio's is refused with a {@link
 * DataException}, which sends it to the dead letter topic.
 */
public class ReltioRow implements Transformation<SinkRecord>, Versioned {
    /** How Debezium marks text that goes into a column of the type jsonb. */
    private static final Schema JSONB = SchemaBuilder.string()
            .name("io.debezium.data.Json")
            .parameter("__debezium.source.column.type", "JSONB")
            .optional()
            .build();

    /** The columns of both tables. */
    private static final Schema ROW = SchemaBuilder.struct()
            .name("goldwire.peers.Row")
            .field("subject", Schema.STRING_SCHEMA)
            .field("version", Schema.INT64_SCHEMA)
            .field("commit_time", Schema.INT64_SCHEMA)
            .field("kind", Schema.STRING_SCHEMA)
            .field("object_type", Schema.STRING_SCHEMA)
            .field("state", Schema.STRING_SCHEMA)
            .field("object", JSONB)
            .build();

    @Override
    public SinkRecord apply(SinkRecord record) {
        if (!(record.value() instanceof byte[] value)) {
            throw new DataException("the record has no bytes as its value");
        }
        Body body = Body.of(value);
        Struct row = new Struct(ROW)
                .put("subject", body.subject())
                .put("version", number(record.headers(), "objectVersion"))
                .put("commit_time", number(record.headers(), "commitTime"))
                .put("object_type", body.objectType());
        switch (body.eventType()) {
            case "ENTITY_CREATED" -> fill(row, "created", "alive", body.object());
            case "ENTITY_CHANGED" -> fill(row, "changed", "alive", body.object());
            case "ENTITY_REMOVED" -> fill(row, "removed", "removed", null);
            default -> throw new DataException("no row is known for the event " + body.eventType());
        }
        return record.newRecord(record.topic(), record.kafkaPartition(), null, null, ROW, row, record.timestamp());
    }

    private static void fill(Struct row, String kind, String state, String object) {
        row.put("kind", kind).put("state", state).put("object", object);
    }

    private static long number(Headers headers, String name) {
        Header header = headers.lastWithName(name);
        if (header == null || !(header.value() instanceof byte[] digits)) {
            throw new DataException("the header " + name + " is missing");
        }
        try {
            return Long.parseLong(new String(digits, StandardCharsets.US_ASCII));
        } catch (NumberFormatException cause) {
            throw new DataException("the header " + name + " is no number", cause);
        }
    }

    @Override
    public String version() {
        return "1";
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public void configure(Map<String, ?> settings) {
        // There is nothing to set.
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
