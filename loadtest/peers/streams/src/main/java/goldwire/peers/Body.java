package goldwire.peers;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.errors.SerializationException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * The body of an event, read in one pass over its bytes. No tree is built: what is not looked at is
 * skipped, and the object is cut out by its offsets.
 */
final class Body {
    private static final JsonFactory JSON = new JsonFactory();

    private final byte[] bytes;
    private String eventType;
    private String uri;
    private int objectStart = -1;
    private int objectEnd = -1;

    private Body(byte[] bytes) {
        this.bytes = bytes;
    }

    /** Reads a body; fails if it is no JSON, or lacks its type or its object's URI. */
    static Body parse(byte[] bytes) {
        Body body = new Body(bytes);
        try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), bytes)) {
            body.readMembers(parser);
        } catch (JacksonException error) {
            throw new SerializationException("the body is no JSON", error);
        }
        body.check();
        return body;
    }

    /** Reltio's name of what happened. */
    String eventType() {
        return eventType;
    }

    /** The entity's URI. */
    byte[] uri() {
        return uri.getBytes(StandardCharsets.UTF_8);
    }

    /** The object as it stands in the body. */
    byte[] object() {
        return Arrays.copyOfRange(bytes, objectStart, objectEnd);
    }

    private void readMembers(JsonParser parser) {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw new SerializationException("the body is no JSON object");
        }
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            JsonToken value = parser.nextToken();
            if (name.equals("type") && value == JsonToken.VALUE_STRING) {
                eventType = parser.getString();
            } else if (name.equals("object") && value == JsonToken.START_OBJECT) {
                readObject(parser);
            } else {
                parser.skipChildren();
            }
        }
        if (parser.nextToken() != null) {
            throw new SerializationException("the body goes on after its end");
        }
    }

    private void readObject(JsonParser parser) {
        objectStart = (int) parser.currentTokenLocation().getByteOffset();
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            JsonToken value = parser.nextToken();
            if (name.equals("uri") && value == JsonToken.VALUE_STRING) {
                uri = parser.getString();
            } else {
                parser.skipChildren();
            }
        }
        objectEnd = (int) parser.currentLocation().getByteOffset();
    }

    private void check() {
        if (eventType == null || uri == null) {
            throw new SerializationException("the body lacks its type or its object's uri");
        }
        // Offsets are of no use if the parser had to convert the text, from UTF-16 for example.
        if (objectStart < 0 || bytes[objectStart] != '{' || bytes[objectEnd - 1] != '}') {
            throw new SerializationException("the body is not UTF-8");
        }
    }
}
