package rivals_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/bench/rivals"
)

// TestMain is also where the processes of senders begin.
func TestMain(m *testing.M) {
	bench.SenderMain()
	os.Exit(m.Run())
}

// TestDecodersAgree: a rival that skipped a field would be found out.
func TestDecodersAgree(t *testing.T) {
	for _, name := range bench.Corpora() {
		c, err := bench.Load(name)
		require.NoError(t, err)
		decode := func(e bench.Engine, sum bench.Checksum) bench.Checksum {
			require.NoError(t, bench.DecodeAll(e.New(c.Market), c.Messages, &sum), "%s, %s", name, e.Name)
			return sum
		}
		reference := bench.Engines()[0]
		exact := decode(reference, bench.Checksum{})
		rounded := decode(reference, bench.NewRounded())
		require.Equal(t, c.Events, exact.Events)
		for _, d := range rivals.Decoders() {
			switch {
			case d.Missing != "":
				t.Log(d.Name, "left out:", d.Missing)
			case d.Exact:
				require.Equal(t, exact, decode(d.Engine, bench.Checksum{}), "%s, %s", name, d.Name)
			default:
				require.Equal(t, rounded, decode(d.Engine, bench.NewRounded()), "%s, %s", name, d.Name)
			}
		}
	}
}

// TestDecodersRefuse: what is cut off or unknown is no event to anybody.
func TestDecodersRefuse(t *testing.T) {
	for _, msg := range []string{
		`[{"ev":"T","sym":"A"`,
		`[{"ev":"T","sym":"A"},{"ev":"nothing","sym":"A"}]`,
	} {
		for _, d := range rivals.Decoders() {
			if d.Missing == "" {
				require.Error(t, d.New("stocks").Decode([]byte(msg), new(bench.Checksum)), "%s: %s", d.Name, msg)
			}
		}
	}
}

// TestReaders: what a reader counts is what it was sent, to the byte.
func TestReaders(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		s, err := bench.StartSender("stocks20", encrypted)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		for _, r := range rivals.Readers() {
			receiver, err := bench.ConnectBy(s, r.Way)
			require.NoError(t, err, r.Name+" "+r.Use)
			for range 2 {
				got, err := receiver.Receive(4<<20, 0)
				require.NoError(t, err, r.Name+" "+r.Use)
				require.InDelta(t, 4<<20, got.Bytes, 2*bench.ReadBuffer, r.Name+" "+r.Use)
			}
			receiver.Close()
		}
	}
}
