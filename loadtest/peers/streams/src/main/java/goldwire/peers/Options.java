package goldwire.peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The command line: pairs of a name and a value.
 *
 * @param bootstrap the broker, host:port
 * @param application the id of the application, which names its group and its own topics
 * @param from the topic with events
 * @param to the topics that get the newest snapshot of each entity
 * @param deadLetters the topic for what cannot be read
 * @param partitions partitions of the repartition topic, and so of the store
 * @param state the directory of the stores
 * @param guarantee at_least_once or exactly_once_v2
 * @param threads stream threads
 * @param compression compression of what is produced
 * @param commitIntervalMs null for Kafka Streams' default
 */
record Options(
        String bootstrap,
        String application,
        String from,
        List<String> to,
        String deadLetters,
        int partitions,
        String state,
        String guarantee,
        int threads,
        String compression,
        String commitIntervalMs) {

    /** Reads the command line; fails with a text for people. */
    static Options parse(String[] words) {
        Map<String, List<String>> given = new HashMap<>();
        for (int at = 0; at < words.length; at += 2) {
            if (!words[at].startsWith("--") || at + 1 == words.length) {
                throw new IllegalArgumentException("not an option with a value: " + words[at]);
            }
            given.computeIfAbsent(words[at].substring(2), name -> new ArrayList<>()).add(words[at + 1]);
        }
        Options options = new Options(
            one(given, "bootstrap", null),
            one(given, "application", null),
            one(given, "from", null),
            given.remove("to"),
            one(given, "dead-letters", null),
            Integer.parseInt(one(given, "partitions", "4")),
            one(given, "state", null),
            one(given, "guarantee", "at_least_once"),
            Integer.parseInt(one(given, "threads", "2")),
            one(given, "compression", "none"),
            given.containsKey("commit-interval-ms") ? one(given, "commit-interval-ms", null) : null);
        if (options.to == null) {
            throw new IllegalArgumentException("--to is missing");
        }
        if (!given.isEmpty()) {
            throw new IllegalArgumentException("not known: --" + given.keySet().iterator().next());
        }
        return options;
    }

    private static String one(Map<String, List<String>> given, String name, String otherwise) {
        List<String> values = given.remove(name);
        if (values == null && otherwise != null) {
            return otherwise;
        }
        if (values == null || values.size() > 1) {
            throw new IllegalArgumentException("--" + name + " has to be there once");
        }
        return values.get(0);
    }
}
