package sockets

// What the black-box tests need of the inside.
var (
	Netstat        = netstat
	ParseUnixQueue = parseUnixQueue
)

// ParseHandshake is parseHandshake with its result spread out.
func ParseHandshake(b []byte, v4 bool) (state uint8, port uint16, local string, err error) {
	h, err := parseHandshake(b, v4)
	return h.state, h.port, h.local.String(), err
}
