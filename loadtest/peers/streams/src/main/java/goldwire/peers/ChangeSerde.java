package goldwire.peers;

import java.util.Map;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/**
 * Reads events. That this is a deserializer makes Kafka Streams' own handler send what cannot be
 * read to the dead-letter topic. Holds nothing, because every thread uses the same one.
 */
final class ChangeSerde implements Serde<Change>, Deserializer<Change> {
    @Override
    public Deserializer<Change> deserializer() {
        return this;
    }

    @Override
    public Serializer<Change> serializer() {
        throw new UnsupportedOperationException("events are only read");
    }

    @Override
    public Change deserialize(String topic, byte[] value) {
        throw new SerializationException("the record has no headers");
    }

    @Override
    public Change deserialize(String topic, Headers headers, byte[] value) {
        if (value == null) {
            throw new SerializationException("the record is empty");
        }
        byte[] version = clock(headers, "objectVersion");
        byte[] commitTime = clock(headers, "commitTime");
        Body body = Body.parse(value);
        Kind kind = Kind.of(body.eventType());
        byte[] object = kind == Kind.REMOVED ? null : body.object();
        return new Change(body.uri(), kind, version, commitTime, object);
    }

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        // Both interfaces have one of their own.
    }

    @Override
    public void close() {
        // Both interfaces have one of their own.
    }

    private static byte[] clock(Headers headers, String name) {
        Header header = headers.lastHeader(name);
        if (header == null || Decimal.parse(header.value()) < 0) {
            throw new SerializationException("the header " + name + " is no number");
        }
        return header.value();
    }
}
