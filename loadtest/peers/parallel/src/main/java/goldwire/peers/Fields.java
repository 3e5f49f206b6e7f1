package goldwire.peers;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** How a golden record becomes the fields of a CRM's record. */
final class Fields {
    private static final ObjectReader EVENTS = Told.JSON.readerFor(Event.class);

    private final String type;
    private final String externalId;
    private final String archived;
    private final String guard;

    /** What of an event's body is looked at. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Event(Golden object) {}

    /** What of a golden record is looked at. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Golden(Attributes attributes) {}

    /** The attributes that are mapped; the parser skips the others. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Attributes(List<Value> FirstName, List<Value> LastName, List<Value> Seq) {}

    /** One value of an attribute. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Value(String value) {}

    Fields(Options options) {
        String object = options.text("object");
        type = Character.toUpperCase(object.charAt(0)) + object.substring(1);
        externalId = options.text("external-id");
        archived = options.text("archived-field", "Reltio_Archived__c");
        guard = options.text("guard-field", "Reltio_Guard__c");
    }

    /** The object's name. */
    String type() {
        return type;
    }

    /** The field by which records are found. */
    String externalId() {
        return externalId;
    }

    /** A row's golden record; null for a removal. */
    Attributes attributes(Row row) throws IOException {
        if (row.isRemoval) {
            return null;
        }
        Event event = EVENTS.readValue(row.record.value());
        if (event == null || event.object == null || event.object.attributes == null) {
            throw new IOException("no attributes");
        }
        return event.object.attributes;
    }

    /** The body of a Collections upsert. */
    byte[] body(List<Row> rows, Map<Row, Attributes> read) throws IOException {
        var bytes = new ByteArrayOutputStream(rows.size() * 320);
        try (JsonGenerator out = Told.JSON.createGenerator(bytes)) {
            out.writeStartObject();
            out.writeBooleanField("allOrNone", false);
            out.writeArrayFieldStart("records");
            for (Row row : rows) {
                record(out, row, read.get(row));
            }
            out.writeEndArray();
            out.writeEndObject();
        }
        return bytes.toByteArray();
    }

    /** A removed entity's record stays, out of use, as goldwire's sink leaves it. */
    private void record(JsonGenerator out, Row row, Attributes of) throws IOException {
        out.writeStartObject();
        out.writeObjectFieldStart("attributes");
        out.writeStringField("type", type);
        out.writeEndObject();
        out.writeStringField(externalId, row.uri);
        out.writeNumberField(guard, row.commitTime);
        out.writeBooleanField(archived, row.isRemoval);
        if (of != null) {
            out.writeStringField("FirstName", first(of.FirstName));
            out.writeStringField("LastName", first(of.LastName));
            out.writeStringField("Seq__c", first(of.Seq));
        }
        out.writeEndObject();
    }

    private static String first(List<Value> values) {
        return values == null || values.isEmpty() ? null : values.get(0).value;
    }
}
