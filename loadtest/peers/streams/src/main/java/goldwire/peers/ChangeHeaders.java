package goldwire.peers;

import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.Map;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;

/**
 * Headers of records that are passed on. What follows from other parts of a record is added after
 * the repartition topic, so that it does not travel twice.
 */
final class ChangeHeaders {
    private static final String VERSION = "goldwire.version";
    private static final String COMMIT_TIME = "goldwire.commit_time";
    private static final Header ALIVE = header("goldwire.state", "alive");
    private static final Header REMOVED = header("goldwire.state", "removed");
    private static final Map<Kind, Header> KINDS = new EnumMap<>(Kind.class);

    static {
        for (Kind kind : Kind.values()) {
            KINDS.put(kind, header("goldwire.kind", kind.text()));
        }
    }

    private ChangeHeaders() {}

    /** The headers in the repartition topic. */
    static Headers of(Change change) {
        return new RecordHeaders(new Header[] {
            KINDS.get(change.kind()),
            new RecordHeader(VERSION, change.version()),
            new RecordHeader(COMMIT_TIME, change.commitTime()),
        });
    }

    /** Adds what a target topic has more; a record without a value is a removal. */
    static void complete(Headers headers, byte[] value) {
        headers.add(value == null ? REMOVED : ALIVE);
        headers.add("goldwire.content_time", headers.lastHeader(COMMIT_TIME).value());
    }

    /** The version that headers in the repartition topic name. */
    static long version(Headers headers) {
        return Decimal.parse(headers.lastHeader(VERSION).value());
    }

    private static Header header(String name, String text) {
        return new RecordHeader(name, text.getBytes(StandardCharsets.UTF_8));
    }
}
