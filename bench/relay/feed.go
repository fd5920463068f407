package main

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// stampEvery is how many messages there are to one that tells when it was sent.
const stampEvery = 64

// stampHead opens the element that such a message ends with.
const (
	stampHead = `,{"ev":"T","sym":"STAMP","i":"`
	stampTail = `","x":4,"p":1,"s":1,"t":1,"q":1,"z":1}]`
	stampSize = 19 // digits, of nanoseconds since 1970
)

// feed is messages of 20 events, and how long one lasts.
type feed struct {
	messages [][]byte
	stamped  [][]byte // the same, with room for a stamp
	events   int      // in each, without the stamp
	pace     time.Duration
	symbols  []string
}

func newFeed(rate int) (*feed, error) {
	const events = 20
	messages, err := sim.Corpus("stocks20", 200_000, 1)
	if err != nil {
		return nil, err
	}
	f := &feed{events: events, pace: time.Duration(float64(time.Second) * events / float64(rate))}
	seen := map[string]bool{}
	s := tickstorm.NewSplitter(tickstorm.Stocks)
	for _, m := range messages {
		for s.Reset(m); s.Next(); {
			seen[string(s.Element().Symbol)] = true
		}
		f.messages = append(f.messages, m)
		f.stamped = append(f.stamped, slices.Concat(m[:len(m)-1], []byte(stampHead), make([]byte, stampSize), []byte(stampTail)))
	}
	for symbol := range seen {
		f.symbols = append(f.symbols, symbol)
	}
	slices.Sort(f.symbols)
	return f, nil
}

// at returns a message of the feed, which is valid until the next call. now is when it is sent.
func (f *feed) at(number int, now time.Time) []byte {
	n := number % len(f.messages)
	if number%stampEvery != 0 {
		return f.messages[n]
	}
	stamp(f.stamped[n], now)
	return f.stamped[n]
}

// stamp puts the time into a message.
func stamp(msg []byte, now time.Time) {
	at := len(msg) - len(stampTail) - stampSize
	strconv.AppendInt(msg[at:at], now.UnixNano(), 10)
}

// topics is what a client asks for.
func (f *feed) topics(s scene, client int) string {
	if !s.share {
		return "T.*,Q.*"
	}
	all := "T.STAMP"
	for i := client; i < len(f.symbols); i += s.clients {
		all += ",T." + f.symbols[i] + ",Q." + f.symbols[i]
	}
	return all
}

// source is the feed for one connection of the simulator, in its own time.
type source struct {
	feed *feed
	next int
	at   int64
	msg  []byte
}

func (s *source) Next() (msg []byte, received int64, err error) {
	s.msg = append(s.msg[:0], s.feed.at(s.next, time.Now())...)
	s.next++
	s.at += s.feed.pace.Nanoseconds()
	return s.msg, s.at, nil
}

// run writes the feed's messages at their time, until it is over.
func (f *feed) run(length time.Duration, write func(msg []byte, number int) error) error {
	began := time.Now()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * f.pace)
		now := time.Now()
		if now.Sub(began) >= length {
			return nil
		}
		if wait := due.Sub(now); wait > 0 {
			time.Sleep(wait)
		}
		if err := write(f.at(i, time.Now()), i); err != nil {
			return err
		}
	}
}

// appendFrame appends a text frame as servers send it.
func appendFrame(dst, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x81, byte(n))
	default:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x81, 126), uint16(n))
	}
	return append(dst, payload...)
}

// filtered returns of each message what a client with a share asks for, as one message; nil is
// nothing.
func (f *feed) filtered(s scene) [][][]byte {
	owner := map[string]int{}
	for i, symbol := range f.symbols {
		owner[symbol] = i % s.clients
	}
	all := make([][][]byte, len(f.messages))
	split := tickstorm.NewSplitter(tickstorm.Stocks)
	for i, m := range f.messages {
		all[i] = make([][]byte, s.clients)
		for split.Reset(m); split.Next(); {
			e := split.Element()
			c := owner[string(e.Symbol)]
			sep := byte(',')
			if all[i][c] == nil {
				sep = '['
			}
			all[i][c] = append(append(all[i][c], sep), m[e.Start:e.End]...)
		}
		for c, share := range all[i] {
			if share != nil {
				all[i][c] = append(share, ']')
			}
		}
	}
	return all
}

// lone is a message of a stamp alone.
func lone() []byte {
	return slices.Concat([]byte("["), []byte(stampHead[1:]), make([]byte, stampSize), []byte(stampTail))
}
