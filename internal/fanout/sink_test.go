package fanout_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/fanout"
)

// sink is a connection that keeps what is written to it, and takes nothing while it is stalled.
type sink struct {
	mu      sync.Mutex
	change  sync.Cond
	stalled bool
	allowed int // writes that it takes all the same
	err     error
	late    bool // the deadline has passed
	timer   *time.Timer
	data    []byte
	writes  int
}

func newSink() *sink {
	s := &sink{}
	s.change.L = &s.mu
	return s
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.stalled && !s.late && s.allowed == 0 && s.err == nil {
		s.change.Wait()
	}
	switch {
	case s.err != nil:
		return 0, s.err
	case s.late:
		return 0, os.ErrDeadlineExceeded
	case s.stalled:
		s.allowed--
	}
	s.data = append(s.data, p...)
	s.writes++
	return len(p), nil
}

func (s *sink) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.late = false
	if left := time.Until(t); left > 0 {
		s.timer = time.AfterFunc(left, s.expire)
	} else {
		s.late = true
		s.change.Broadcast()
	}
	return nil
}

func (s *sink) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = true
	s.change.Broadcast()
}

func (s *sink) stall(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = yes
	s.change.Broadcast()
}

// written returns the frames that were written since it was called last, as text; a close
// frame's code comes as "close 1008 reason".
func (s *sink) written(t testing.TB) (frames []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := strings.NewReader(string(s.data))
	s.data = s.data[:0]
	for {
		if r.Len() == 0 {
			return frames
		}
		op, payload := readFrame(t, r)
		if op == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(payload)
			frames = append(frames, fmt.Sprintf("close %d %s", code, reason))
			continue
		}
		frames = append(frames, string(payload))
	}
}

// readFrame reads a frame as an outlet may write it.
func readFrame(t testing.TB, r io.Reader) (ws.OpCode, []byte) {
	t.Helper()
	h, err := ws.ReadHeader(r)
	require.NoError(t, err)
	require.False(t, h.Masked)
	require.True(t, h.Fin)
	require.Less(t, h.Length, int64(1_000_000))
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	require.NoError(t, err)
	return h.OpCode, payload
}

// elements takes a message apart.
func elements(t testing.TB, msg string) []string {
	t.Helper()
	var raw []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(msg), &raw), msg)
	var all []string
	for _, r := range raw {
		all = append(all, string(r))
	}
	return all
}

// dropped is the note that tells of drops in tests.
func dropped(dst []byte, d fanout.Drops) []byte {
	dst = append(dst, `[{"ev":"status","status":"dropped","message":"`...)
	return append(strconv.AppendUint(dst, d.Events, 10), `"}]`...)
}

// let takes so many writes while it is stalled.
func (s *sink) let(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed += n
	s.change.Broadcast()
}

// fail makes writes fail, also the one that waits.
func (s *sink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.change.Broadcast()
}

// null is a connection that takes everything, and takes nothing before stuck says so, if there is that.
type null struct{ stuck chan struct{} }

func (c null) Write(p []byte) (int, error) {
	if c.stuck != nil {
		<-c.stuck
	}
	return len(p), nil
}

func (null) SetWriteDeadline(time.Time) error { return nil }
