package goldwire.peers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.utils.AppInfoParser;

/** What a workload prints: lines of JSON; and what this process has cost so far. */
final class Told {
    static final ObjectMapper JSON = new ObjectMapper();

    private Told() {}

    /** Prints one line. */
    static void line(Map<String, ?> told) {
        try {
            System.out.println(JSON.writeValueAsString(told));
        } catch (JsonProcessingException why) {
            throw new IllegalStateException(why);
        }
        System.out.flush();
    }

    /** Prints what a workload is run with, and the JVM's flags. */
    static void settings(String workload, Map<String, ?> settings) {
        var all = new LinkedHashMap<String, Object>();
        all.put("workload", workload);
        all.putAll(settings);
        all.put("kafka_clients", AppInfoParser.getVersion());
        all.put("java", Runtime.version().toString());
        all.put("java_flags", ManagementFactory.getRuntimeMXBean().getInputArguments());
        line(Map.of("settings", all));
    }

    /** Seconds of all cores since the process began, the JVM's own threads included. */
    static double cpuSeconds() {
        var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }

    /** The most memory that was resident, as the kernel counts it. */
    static long peakMib() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
            }
        }
        throw new IOException("/proc/self/status tells no VmHWM");
    }
}
