package goldwire.peers;

/** What happened to an entity. */
enum Kind {
    /** It is there for the first time, or again. */
    CREATED("created"),
    /** It is another than before. */
    CHANGED("changed"),
    /** It is gone. */
    REMOVED("removed");

    private final String text;

    Kind(String text) {
        this.text = text;
    }

    /** What Reltio's name of an event says; names that are not known are changes. */
    static Kind of(String eventType) {
        return switch (eventType) {
            case "ENTITY_REMOVED" -> REMOVED;
            case "ENTITY_CREATED" -> CREATED;
            default -> CHANGED;
        };
    }

    /** The text that the header `goldwire.kind` holds. */
    String text() {
        return text;
    }
}
