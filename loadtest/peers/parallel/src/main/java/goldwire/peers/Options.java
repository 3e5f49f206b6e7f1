package goldwire.peers;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Options of the command line: {@code --name value}. */
final class Options {
    private final Map<String, String> values = new HashMap<>();

    private Options() {}

    /** Reads pairs of a name and a value. */
    static Options of(List<String> arguments) {
        Options options = new Options();
        for (int at = 0; at < arguments.size(); at += 2) {
            String name = arguments.get(at);
            if (!name.startsWith("--") || at + 1 == arguments.size()) {
                throw new IllegalArgumentException("expected --name value, found " + name);
            }
            options.values.put(name.substring(2), arguments.get(at + 1));
        }
        return options;
    }

    /** The value of an option that has to be there. */
    String text(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }

    /** The value of an option, or what stands for it. */
    String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    /** A whole number, or what stands for it. */
    int number(String name, int otherwise) {
        String value = values.get(name);
        return value == null ? otherwise : Integer.parseInt(value);
    }
}
