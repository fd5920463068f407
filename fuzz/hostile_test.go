package fuzz

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

const (
	hostileMessage = 1 << 16 // Limits.Message
	// hostileMemory is what a Session may allocate beside a multiple of what it was sent:
	// a server pays in bytes for what it makes a client hold. Windows grow by doubling up to
	// twice Limits.Message, and fastjson keeps some 50 bytes for each value of an element.
	hostileMemory = 1 << 20
	hostileFactor = 64
)

// FuzzSessionHostile plays a server that means harm: a short program of frames, each sent
// up to 255 times. Whatever it does, the Session does not panic, allocates in proportion
// to the bytes it got, holds back few bytes to send, and says how it ended when it did.
//
// An instruction is a byte for the frame's first byte, one for how its length is written,
// one for how often it is sent, one for the payload's length and the payload.
func FuzzSessionHostile(f *testing.F) {
	status := `[{"ev":"status","status":"auth_success","message":"authenticated"}]`
	auth := append([]byte{0x81, 0, 1, byte(len(status))}, status...)
	for _, program := range []string{
		"\x89\x00\xff\x04ping",                        // a flood of pings
		"\x01\x00\xff\x00\x00\x00\xff\x00",            // endless fragments of nothing
		"\x81\x02\x01\x00",                            // a length of 63 bits
		"\x81\x01\x01\x00",                            // one of 32
		"\x81\x00\xff\x10[[[[[[[[[[[[[[[[",            // deep
		"\x01\x00\x01\x01[\x00\x00\xff\x08{\"ev\":7,", // a long message in fragments
		"\x88\x00\xff\x02\x03\xe8",                    // closing over and over
		"\x8a\x00\xff\x01p\xc1\x00\x01\x00",           // pongs, then a reserved bit
		"\x81\x00\xff\x2d[{\"ev\":\"status\",\"status\":\"error\",\"message\":\"x\"}]",
		"\x81\x00\xff\x08[0,0,0,]",
	} {
		f.Add([]byte(program))
		f.Add(append(auth[:len(auth):len(auth)], program...))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 1<<12 {
			return
		}
		s, err := tickstorm.NewSession(tickstorm.Config{
			Key: "k", Market: tickstorm.Stocks, Rand: new(frameMasks),
			Limits: tickstorm.Limits{Message: hostileMessage},
		}, tickstorm.NopHandler{})
		require.NoError(t, err)
		now := time.Unix(1_800_000_000, 0)
		s.Advance(now)
		require.NoError(t, s.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "A"}))

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := 0
		for len(program) >= 4 && s.Err() == nil {
			first, form, times, n := program[0], program[1], int(program[2]), int(program[3])
			program = program[4:]
			n = min(n, len(program))
			frame := hostileFrame(first, form, program[:n])
			program = program[n:]
			for range times {
				now = now.Add(time.Millisecond)
				s.Advance(now)
				_ = s.Feed(frame)
				sent += len(frame)
				if out := s.Outgoing(); len(out) > 1<<16 {
					t.Fatalf("%d bytes wait to be sent", len(out))
				} else if times%2 == 0 { // odd ones find a client that cannot write
					s.Sent(len(out))
				}
			}
		}
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > uint64(hostileMemory+hostileFactor*sent) {
			t.Fatalf("%d bytes were allocated for %d that came", allocated, sent)
		}
		if s.Err() != nil {
			require.NotEmpty(t, s.Err().Error())
			require.GreaterOrEqual(t, s.State(), tickstorm.Closing)
		}
	})
}

// hostileFrame writes a frame whose length is honest in form 0 and else claims more than
// there is.
func hostileFrame(first, form byte, payload []byte) []byte {
	switch form % 3 {
	case 1:
		return append([]byte{first, 127, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}, payload...)
	case 2:
		return append([]byte{first, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, payload...)
	}
	frame := []byte{first, byte(len(payload))}
	if len(payload) > 125 {
		frame = []byte{first, 126, 0, byte(len(payload))}
	}
	return append(frame, payload...)
}
