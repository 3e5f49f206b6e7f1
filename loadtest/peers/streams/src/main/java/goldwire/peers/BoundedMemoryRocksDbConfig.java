package goldwire.peers;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.WriteBufferManager;

/**
 * Bounds what the stores of all partitions take together, as the memory management page of Kafka
 * Streams advises: one block cache, and memtables that count against it.
 */
public final class BoundedMemoryRocksDbConfig implements RocksDBConfigSetter {
    /** Blocks, indexes, filters and memtables of all stores. */
    static final long TOTAL_BYTES = 128L << 20;
    /** Memtables of all stores, a part of the total. */
    static final long MEMTABLE_BYTES = 64L << 20;
    /** The part of the block cache that is set aside for indexes and filters. */
    static final double INDEX_RATIO = 0.1;

    static {
        RocksDB.loadLibrary();
    }

    // Shared by every store; never closed, because the process ends with them.
    private static final Cache CACHE = new LRUCache(TOTAL_BYTES, -1, false, INDEX_RATIO);
    private static final WriteBufferManager MEMTABLES = new WriteBufferManager(MEMTABLE_BYTES, CACHE);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        // So that indexes and filters count against the bound, and are not the first to go.
        table.setCacheIndexAndFilterBlocks(true);
        table.setCacheIndexAndFilterBlocksWithHighPriority(true);
        table.setPinTopLevelIndexAndFilter(true);
        options.setTableFormatConfig(table);
        options.setWriteBufferManager(MEMTABLES);
    }

    @Override
    public void close(String store, Options options) {
        // Nothing is of one store alone.
    }
}
