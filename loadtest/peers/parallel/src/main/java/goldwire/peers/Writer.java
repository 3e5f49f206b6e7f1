package goldwire.peers;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends rows until each has an end: it is written, or older than what is there, or a dead letter. */
final class Writer {
    private static final Logger LOG = LoggerFactory.getLogger(Writer.class);
    private static final long FIRST_PAUSE_MS = 100;
    private static final long LONGEST_PAUSE_MS = 10_000;
    /** Codes of rows and of whole calls that may pass when they are sent again. */
    private static final Set<String> RETRYABLE = Set.of(
            "UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG", "UNKNOWN_EXCEPTION",
            "ALL_OR_NONE_OPERATION_ROLLED_BACK", "SERVER_UNAVAILABLE", "SERVICE_UNAVAILABLE",
            "TOO_MANY_APEX_REQUESTS", "INVALID_SESSION_ID", "API_CURRENTLY_DISABLED",
            "REQUEST_LIMIT_EXCEEDED");
    /** Codes of whole calls that no row is to blame for: someone has to correct something. */
    private static final Set<String> SYSTEMIC = Set.of(
            "INVALID_FIELD", "INVALID_TYPE", "NOT_FOUND", "UNSUPPORTED_API_VERSION",
            "METHOD_NOT_ALLOWED", "API_DISABLED_FOR_ORG");

    private final Fields fields;
    private final Salesforce org;
    private final DeadLetters deadLetters;
    private final Desk desk;
    private final LongAdder rows = new LongAdder();

    Writer(Fields fields, Salesforce org, DeadLetters deadLetters, Desk desk) {
        this.fields = fields;
        this.org = org;
        this.deadLetters = deadLetters;
        this.desk = desk;
    }

    /** Rows sent so far. */
    long rows() {
        return rows.sum();
    }

    /** Sends rows, again and again where that may help. */
    void write(List<Row> taken) throws InterruptedException {
        Map<Row, Fields.Attributes> read = new IdentityHashMap<>();
        List<Row> left = new ArrayList<>(taken.size());
        for (Row row : taken) {
            try {
                read.put(row, fields.attributes(row));
                left.add(row);
            } catch (IOException | IllegalArgumentException why) {
                deadLetters.put(row.record, "bad_body");
                desk.settled(List.of(row));
            }
        }
        long pause = FIRST_PAUSE_MS;
        while (true) {
            left = send(left, read);
            if (left.isEmpty()) {
                return;
            }
            Thread.sleep(pause);
            pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
        }
    }

    /** One call, or two with half of the rows each where a row broke it: the rows to send again. */
    private List<Row> send(List<Row> some, Map<Row, Fields.Attributes> read)
            throws InterruptedException {
        if (some.isEmpty()) {
            return some;
        }
        Salesforce.Answer answer;
        try {
            rows.add(some.size());
            answer = org.upsert(fields.body(some, read));
        } catch (IOException why) {
            LOG.warn("no answer to {} rows: {}", some.size(), why.toString());
            return some;
        }
        if (answer.status() == 200) {
            return settle(some, answer.body());
        }
        String code = answer.body().path(0).path("errorCode").asText("http_" + answer.status());
        LOG.warn("a call of {} rows is refused: {} {}", some.size(), answer.status(), code);
        boolean isBusy = answer.status() >= 500 || List.of(401, 420, 429).contains(answer.status());
        if (isBusy || RETRYABLE.contains(code)) {
            return some;
        }
        if (SYSTEMIC.contains(code) || answer.status() == 403) {
            throw new IllegalStateException("the org refuses every call: " + answer.body());
        }
        if (some.size() == 1) {
            deadLetters.put(some.get(0).record, code);
            desk.settled(some);
            return List.of();
        }
        int half = some.size() / 2;
        List<Row> again = new ArrayList<>(send(some.subList(0, half), read));
        again.addAll(send(some.subList(half, some.size()), read));
        return again;
    }

    /** Reads the answer to each row: those to send again. */
    private List<Row> settle(List<Row> some, JsonNode answers) throws InterruptedException {
        List<Row> settled = new ArrayList<>(some.size());
        List<Row> again = new ArrayList<>();
        for (int at = 0; at < some.size(); at++) {
            Row row = some.get(at);
            JsonNode answer = answers.path(at);
            String code = answer.path("errors").path(0).path("statusCode").asText("no_answer");
            if (answer.path("success").asBoolean() || isDone(row, code)) {
                settled.add(row);
            } else if (RETRYABLE.contains(code) || code.equals("no_answer")) {
                again.add(row);
            } else {
                deadLetters.put(row.record, code);
                settled.add(row);
            }
        }
        desk.settled(settled);
        return again;
    }

    /** The org has something newer, or has no record of an entity that is removed. */
    private static boolean isDone(Row row, String code) {
        return code.equals("FIELD_CUSTOM_VALIDATION_EXCEPTION")
                || row.isRemoval && code.equals("REQUIRED_FIELD_MISSING");
    }
}
