package goldwire.peers;

import org.apache.kafka.clients.consumer.ConsumerRecord;

/** A record on its way to the CRM. What its headers tell is read at once, its body when it is sent. */
final class Row {
    final ConsumerRecord<String, byte[]> record;
    final String uri;
    final long version;
    final long commitTime;
    final boolean isRemoval;
    /** The batch that ends when this row has. */
    final Batch batch;

    /** Of the records that Parallel Consumer handed over together, those whose fate is open. */
    static final class Batch {
        int left;
    }

    private Row(ConsumerRecord<String, byte[]> record, String uri, Batch batch) {
        this.record = record;
        this.uri = uri;
        this.batch = batch;
        version = Long.parseLong(Clients.header(record, "objectVersion"));
        commitTime = Long.parseLong(Clients.header(record, "commitTime"));
        isRemoval = "ENTITY_REMOVED".equals(Clients.header(record, "eventType"));
    }

    /** The row of a record, or null if its headers are not those of an event. */
    static Row of(ConsumerRecord<String, byte[]> record, Batch batch) {
        String uri = Clients.header(record, "sourceObjectUri");
        try {
            return uri == null ? null : new Row(record, uri, batch);
        } catch (NumberFormatException why) {
            return null;
        }
    }
}
