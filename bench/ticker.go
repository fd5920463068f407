package bench

import (
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

const tickerTask = "ticker"

// tickEvery is about how long a ticker pauses: longer than what a timer of the system
// rounds up to.
const tickEvery = 2 * time.Millisecond

// StartTicker starts a process that sends everybody who connects, stocks or not, one trade
// every two milliseconds or so, at random, in a message of its own. Its Timestamp is the
// time of the write in nanoseconds since 1970, of the clock that the whole machine
// shares, to measure with how long it takes to a handler. Corpus is nil.
func StartTicker(encrypted bool) (*Sender, error) { return launch(tickerTask, encrypted) }

func tick(conn net.Conn) error {
	msg := make([]byte, 0, 128)
	for {
		time.Sleep(tickEvery/2 + rand.N(tickEvery))
		msg = append(msg[:0], `[{"ev":"T","sym":"ACME","p":101.375,"s":12,"t":`...)
		msg = strconv.AppendInt(msg, time.Now().UnixNano(), 10)
		msg = append(msg, "}]"...)
		if err := ws.WriteFrame(conn, ws.NewTextFrame(msg)); err != nil {
			return err
		}
	}
}
