package nats

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/tickstorm/tickstorm/sink"
)

// This file reads what an engine has published.

func stampOf(h nats.Header) string {
	if v := h[StampHeader]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// tell gives a message to a lane.
func tell(l *sink.Lane, subject, stamp string, data []byte) error {
	switch channelToken(subject) {
	case noticeToken:
		return l.Notice(stamp, data)
	case emptyToken:
		return l.Broken(stamp, data)
	}
	return l.Event(stamp, data)
}

// channelToken is the third token of a subject.
func channelToken(subject string) string {
	for range 2 {
		_, subject, _ = strings.Cut(subject, ".")
	}
	token, _, _ := strings.Cut(subject, ".")
	return token
}

var errNoSequence = errors.New("nats: a message without a number in its stream")

// sequenceOf is a message's number in its stream, which stands in its reply subject:
// $JS.ACK.<stream>.<consumer>.<delivered>.<number>.… , or with domain and account before the stream.
func sequenceOf(reply string) (uint64, error) {
	const short, long = 9, 11 // tokens, of which there may be more
	skip := 5
	if strings.Count(reply, ".")+1 >= long {
		skip = 7
	} else if strings.Count(reply, ".")+1 != short {
		return 0, errNoSequence
	}
	if !strings.HasPrefix(reply, "$JS.ACK.") {
		return 0, errNoSequence
	}
	for range skip {
		_, reply, _ = strings.Cut(reply, ".")
	}
	number, _, _ := strings.Cut(reply, ".")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, errNoSequence
	}
	return seq, nil
}
