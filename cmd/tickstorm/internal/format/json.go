package format

import (
	"bytes"
	"strconv"
)

// AppendElement appends an element of a message, a JSON object, as a line: as it came, but for line
// breaks between its tokens, which become spaces. With a time it begins with that of receipt, as a
// member "received" in nanoseconds since 1970.
func AppendElement(dst, raw []byte, received int64, timed bool) []byte {
	at := len(dst)
	if timed && len(raw) > 0 && raw[0] == '{' {
		dst = append(dst, `{"received":`...)
		dst = strconv.AppendInt(dst, received, 10)
		if raw = raw[1:]; len(raw) > 0 && raw[0] != '}' {
			dst = append(dst, ',')
		}
	}
	dst = append(dst, raw...)
	if bytes.IndexByte(raw, '\n') >= 0 || bytes.IndexByte(raw, '\r') >= 0 { // in valid JSON between tokens
		for i, c := range dst[at:] {
			if c == '\n' || c == '\r' {
				dst[at+i] = ' '
			}
		}
	}
	return append(dst, '\n')
}

// AppendMessage appends a message as a line, behind its time of receipt where that is asked for.
func AppendMessage(dst, msg []byte, received int64, timed bool) []byte {
	if timed {
		dst = append(strconv.AppendInt(dst, received, 10), ' ')
	}
	return AppendElement(dst, msg, 0, false)
}
