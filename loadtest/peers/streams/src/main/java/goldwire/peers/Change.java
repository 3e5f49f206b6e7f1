package goldwire.peers;

/**
 * What of an event is passed on.
 *
 * @param uri the entity's URI
 * @param kind what happened to it
 * @param version its version, decimal digits
 * @param commitTime when it was committed, decimal digits
 * @param object the bytes of the object as they stood in the body; null for a removal
 */
record Change(byte[] uri, Kind kind, byte[] version, byte[] commitTime, byte[] object) {}
