package goldwire.peers;

import java.util.Arrays;

/** Confluent Parallel Consumer doing goldwire's work; the first argument names the workload. */
public final class Main {
    private Main() {}

    /** Runs {@code wait}, {@code fill-wait} or {@code crm} with the options behind it. */
    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 0) {
            throw new IllegalArgumentException("name a workload: wait, fill-wait or crm");
        }
        Options options = Options.of(Arrays.asList(arguments).subList(1, arguments.length));
        switch (arguments[0]) {
            case "wait" -> Wait.run(options);
            case "fill-wait" -> FillWait.run(options);
            case "crm" -> Crm.run(options);
            default -> throw new IllegalArgumentException("no such workload: " + arguments[0]);
        }
    }
}
