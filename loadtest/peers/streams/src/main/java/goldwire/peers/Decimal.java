package goldwire.peers;

/** Numbers as headers hold them. */
final class Decimal {
    /** More digits may be too many for a long. */
    private static final int MOST_DIGITS = 18;

    private Decimal() {}

    /** The number that decimal digits stand for; -1 if they are none. */
    static long parse(byte[] digits) {
        if (digits == null || digits.length == 0 || digits.length > MOST_DIGITS) {
            return -1;
        }
        long number = 0;
        for (byte digit : digits) {
            if (digit < '0' || digit > '9') {
                return -1;
            }
            number = number * 10 + digit - '0';
        }
        return number;
    }
}
