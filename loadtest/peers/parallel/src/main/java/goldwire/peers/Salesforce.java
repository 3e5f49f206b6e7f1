package goldwire.peers;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.atomic.LongAdder;

/** A Salesforce org: a session, and upserts of up to 200 rows. */
final class Salesforce {
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();
    private final String login;
    private final String grant;
    private final String path;
    private final LongAdder calls = new LongAdder();
    private Session session;

    /** A token, and the host that takes it. */
    record Session(String token, String instance) {}

    /** An answer: for status 200 one element for each row, else why the call was refused. */
    record Answer(int status, JsonNode body) {}

    Salesforce(Options options, Fields fields) {
        login = options.text("url") + "/services/oauth2/token";
        grant = "grant_type=client_credentials&client_id=" + form(options.text("client-id"))
                + "&client_secret=" + form(options.text("client-secret"));
        path = "/services/data/v62.0/composite/sobjects/" + fields.type() + "/"
                + fields.externalId();
    }

    /** Upserts; an IOException where no answer came. */
    Answer upsert(byte[] body) throws IOException, InterruptedException {
        Session session = session();
        HttpRequest request = HttpRequest.newBuilder(URI.create(session.instance + path))
                .timeout(TIMEOUT)
                .header("Authorization", "Bearer " + session.token)
                .header("Content-Type", "application/json")
                .method("PATCH", BodyPublishers.ofByteArray(body))
                .build();
        calls.increment();
        HttpResponse<byte[]> answer = http.send(request, BodyHandlers.ofByteArray());
        if (answer.statusCode() == 401) {
            forget(session);
        }
        return new Answer(answer.statusCode(), tree(answer.body()));
    }

    /** Upserts sent so far. */
    long calls() {
        return calls.sum();
    }

    private synchronized Session session() throws IOException, InterruptedException {
        if (session == null) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(login))
                    .timeout(TIMEOUT)
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .POST(BodyPublishers.ofString(grant))
                    .build();
            HttpResponse<byte[]> answer = http.send(request, BodyHandlers.ofByteArray());
            JsonNode body = tree(answer.body());
            if (answer.statusCode() / 100 == 4) {
                throw new IllegalStateException("no token: " + body);
            }
            if (answer.statusCode() != 200) {
                throw new IOException("no token: status " + answer.statusCode());
            }
            session = new Session(
                    body.path("access_token").asText(), body.path("instance_url").asText());
        }
        return session;
    }

    private synchronized void forget(Session expired) {
        // Another thread may have a new one already.
        if (session == expired) {
            session = null;
        }
    }

    private static JsonNode tree(byte[] body) throws IOException {
        return Told.JSON.readTree(body);
    }

    private static String form(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }
}
