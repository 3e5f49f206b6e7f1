package goldwire.peers;

import java.nio.ByteBuffer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Drops what is not newer than the newest version that is known of the entity.
 *
 * <p>The store says the version and the record it came with. Under at_least_once the store may be
 * ahead of the target topics after a crash. The same record is read again then, and is passed on
 * again; to compare versions alone would lose it.
 */
final class KeepNewest implements Processor<byte[], byte[], byte[], byte[]> {
    /** The name of the store. */
    static final String STORE = "newest";

    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, byte[]> newest;

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
        context = given;
        newest = given.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        long version = ChangeHeaders.version(record.headers());
        long offset = context.recordMetadata().orElseThrow().offset();
        Bytes uri = Bytes.wrap(record.key());
        byte[] known = newest.get(uri);
        if (known != null && isOld(version, offset, ByteBuffer.wrap(known))) {
            return;
        }
        newest.put(uri, ByteBuffer.allocate(2 * Long.BYTES).putLong(version).putLong(offset).array());
        ChangeHeaders.complete(record.headers(), record.value());
        context.forward(record);
    }

    private static boolean isOld(long version, long offset, ByteBuffer known) {
        long knownVersion = known.getLong();
        boolean isSameRecord = known.getLong() == offset;
        return version < knownVersion || version == knownVersion && !isSameRecord;
    }
}
