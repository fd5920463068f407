package record

import (
	"bytes"
	"strconv"
)

// line is one line of a frame. raw is the message, or a control without its #.
type line struct {
	received int64 // a message's
	raw      []byte
	control  bool
}

// cutLine takes a line from the beginning of text.
func cutLine(text []byte) (l line, rest []byte, ok bool) {
	if len(text) > 0 && text[0] == '#' {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return line{}, nil, false
		}
		return line{raw: text[1:end:end], control: true}, text[end+1:], true
	}
	head := text[:min(len(text), lineHead)]
	first := bytes.IndexByte(head, ' ')
	if first < 0 {
		return line{}, nil, false
	}
	second := bytes.IndexByte(head[first+1:], ' ')
	if second < 0 {
		return line{}, nil, false
	}
	received, err := strconv.ParseInt(string(head[:first]), 10, 64)
	if err != nil {
		return line{}, nil, false
	}
	n, err := strconv.ParseUint(string(head[first+1:first+1+second]), 10, 31)
	rest = text[first+second+2:]
	if err != nil || n >= uint64(len(rest)) || rest[n] != '\n' {
		return line{}, nil, false
	}
	return line{received: received, raw: rest[:n:n]}, rest[n+1:], true
}
