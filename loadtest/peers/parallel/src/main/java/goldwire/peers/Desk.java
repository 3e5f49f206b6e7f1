package goldwire.peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Rows that wait for a call: of each entity the newest alone, and no entity in two calls at once.
 *
 * <p>Whoever has a batch here takes rows, others' too, until all of its own have an end. So what had
 * to wait for an entity's earlier call travels with the next call instead of making a small one.
 */
final class Desk {
    /** Rows of one Collections call at most. */
    static final int ROWS = 200;

    private final Map<String, Long> newest = new HashMap<>();
    private final LinkedHashMap<String, Row> ready = new LinkedHashMap<>();
    private final Map<String, Row> blocked = new HashMap<>();
    private final Set<String> inFlight = new HashSet<>();
    private final int mostCalls;
    private final long lingerMs;
    private int calls;
    private long dropped;

    /** So many calls at the same time; rows wait so long for company. */
    Desk(int mostCalls, long lingerMs) {
        this.mostCalls = mostCalls;
        this.lingerMs = lingerMs;
    }

    /** Takes the rows of a batch, except old versions. */
    synchronized void offer(List<Row> rows) {
        for (Row row : rows) {
            Long known = newest.get(row.uri);
            if (known != null && known >= row.version) {
                dropped++;
                continue;
            }
            newest.put(row.uri, row.version);
            row.batch.left++;
            var place = inFlight.contains(row.uri) ? blocked : ready;
            Row before = place.put(row.uri, row);
            if (before != null) {
                dropped++;
                end(before);
            }
        }
        // A batch whose rows were overtaken may have ended.
        notifyAll();
    }

    /** Rows for a call, whose end has to be told; none when the batch has ended. */
    synchronized List<Row> take(Row.Batch batch) throws InterruptedException {
        awaitCall(batch);
        List<Row> taken = new ArrayList<>();
        if (batch.left == 0) {
            return taken;
        }
        calls++;
        Iterator<Row> rows = ready.values().iterator();
        while (rows.hasNext() && taken.size() < ROWS) {
            Row row = rows.next();
            rows.remove();
            inFlight.add(row.uri);
            taken.add(row);
        }
        return taken;
    }

    /** Until a call may be made. A few rows are not worth one at once: others may join them. */
    private void awaitCall(Row.Batch batch) throws InterruptedException {
        long until = System.nanoTime() + lingerMs * 1_000_000L;
        while (batch.left > 0) {
            long leftMs = (until - System.nanoTime() + 999_999) / 1_000_000;
            int enough = leftMs > 0 ? ROWS / 2 : 1;
            if (calls < mostCalls && ready.size() >= enough) {
                return;
            }
            // 0 is: until notified.
            wait(Math.max(leftMs, 0));
        }
    }

    /** A call that was taken for is over. */
    synchronized void callEnded() {
        calls--;
        notifyAll();
    }

    /** The call has settled what becomes of these rows. */
    synchronized void settled(List<Row> rows) {
        for (Row row : rows) {
            inFlight.remove(row.uri);
            end(row);
            Row next = blocked.remove(row.uri);
            if (next != null) {
                ready.put(next.uri, next);
            }
        }
        notifyAll();
    }

    /** Old versions that were dropped so far. */
    synchronized long dropped() {
        return dropped;
    }

    private static void end(Row row) {
        row.batch.left--;
    }
}
