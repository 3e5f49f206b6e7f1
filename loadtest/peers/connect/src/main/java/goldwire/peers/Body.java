package goldwire.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.connect.errors.DataException;

/**
 * What of a record's body goes into a row.
 *
 * @param eventType Reltio's name of what happened
 * @param subject the object's URI
 * @param objectType the object's type
 * @param object the object's JSON, to the byte
 */
record Body(String eventType, String subject, String objectType, String object) {
    private static final JsonFactory JSON = new JsonFactory();

    /**
     * Reads a body. It streams: no tree is made of what is only copied.
     *
     * @throws DataException if the bytes are no JSON, or if something is missing
     */
    static Body of(byte[] bytes) {
        Reader reader = new Reader(bytes);
        try (JsonParser parser = JSON.createParser(bytes)) {
            reader.read(parser);
        } catch (IOException cause) {
            throw new DataException("the body is no JSON: " + cause.getMessage(), cause);
        }
        return reader.body();
    }

    /** What was found so far. */
    private static final class Reader {
        private final byte[] bytes;
        private String eventType;
        private String subject;
        private String objectType;
        private String object;

        Reader(byte[] bytes) {
            this.bytes = bytes;
        }

        void read(JsonParser parser) throws IOException {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new DataException("the body is no JSON object");
            }
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                JsonToken value = parser.nextToken();
                if (name.equals("type") && value == JsonToken.VALUE_STRING) {
                    eventType = parser.getText();
                } else if (name.equals("object") && value == JsonToken.START_OBJECT) {
                    readObject(parser);
                } else {
                    parser.skipChildren();
                }
            }
            if (parser.nextToken() != null) {
                throw new DataException("something follows the body's JSON");
            }
        }

        private void readObject(JsonParser parser) throws IOException {
            int from = Math.toIntExact(parser.currentTokenLocation().getByteOffset());
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                JsonToken value = parser.nextToken();
                if (name.equals("uri") && value == JsonToken.VALUE_STRING) {
                    subject = parser.getText();
                } else if (name.equals("type") && value == JsonToken.VALUE_STRING) {
                    objectType = parser.getText();
                } else {
                    parser.skipChildren();
                }
            }
            int to = Math.toIntExact(parser.currentLocation().getByteOffset());
            object = new String(bytes, from, to - from, StandardCharsets.UTF_8);
        }

        Body body() {
            if (eventType == null || subject == null || objectType == null) {
                throw new DataException("the body lacks its type, or its object's uri or type");
            }
            return new Body(eventType, subject, objectType, object);
        }
    }
}
