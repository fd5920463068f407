package relay_test

import (
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

var quiet = sim.Config{Quiet: true}

// odd are elements in the bytes of nobody's encoder: what the relay passes on is these.
const (
	oddTrade = `{"ev":"T","sym":"AAPL","new":{"x":[1, 2]},"p":1.50,"s":1e2, "t":1}`
	oddQuote = `{ "sym":"AAPL", "ev":"Q","bp":0.10}`
	other    = `{"ev":"T","sym":"MSFT","p":2}`
)

// TestGoClient: the key and the subscriptions go out behind each other, nothing is waited for.
func TestGoClient(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.client("/stocks")
	c.send(auth, subscribe("T.AAPL"), subscribe("Q.AAPL"))
	c.expect(greeting, success, acks("T.AAPL"), acks("Q.AAPL"))
	b.up.Broadcast([]byte("[" + oddTrade + "," + other + "," + oddQuote + "]"))
	c.expect("[" + oddTrade + "," + oddQuote + "]")
	require.NoError(t, c.framer.Ping([]byte("25 s")))
	c.flush()
	c.send(unsubscribe("T.AAPL"))
	c.expect("[" + fixture.Status("success", "unsubscribed to: T.AAPL") + "]")
	require.NoError(t, c.framer.Close(ws.StatusNormalClosure, ""))
	c.flush()
	require.Equal(t, ws.StatusNormalClosure, c.end(), "the client's own code comes back")
}

// TestPythonClient: each answer is waited for, and that to the key is the first element of the
// second message, whatever else there is to say.
func TestPythonClient(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	require.NoError(t, b.up.Close()) // there is something else to say
	b.await(func(s relay.MarketStats) bool { return !s.Up })
	c := b.client("/stocks")
	c.expect(greeting)
	c.send(auth)
	c.expect(success)
	require.Contains(t, c.next(), `"status":"upstream_disconnected"`)
}

// TestJavaScriptClient: the key goes out when the socket opens, subscriptions when it is good; the
// list has spaces.
func TestJavaScriptClient(t *testing.T) {
	b := start(t, quiet, tickstorm.Forex)
	b.streaming(0)
	c := b.client("/forex")
	c.send(auth)
	c.expect(greeting, success)
	c.send(subscribe("C.EUR-USD, CA.C:EUR-USD"))
	c.expect(acks("C.EUR-USD", "CA.C:EUR-USD"))
	quote := `{"ev":"C","p":"EUR/USD","x":"44","a":1.1,"b":1.0,"t":1}`
	b.up.Broadcast([]byte("[" + quote + "]"))
	c.expect("[" + quote + "]")
}

// TestURLSubscriber: tools that send one message, or none.
func TestURLSubscriber(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.client("/stocks?subscribe=T.AAPL,Q.*")
	c.expect(greeting, success, acks("T.AAPL", "Q.*"))
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
	c.send(subscribe("T.MSFT"))
	c.expect(acks("T.MSFT"))
	c.send(auth) // as its one message
	c.expect(success)
	b.up.Broadcast([]byte("[" + other + "]"))
	c.expect("[" + other + "]")
	c = b.client("/stocks?subscribe=T.AAPL&subscribe=T.MSFT,%20Q.AAPL")
	c.expect(greeting, success, acks("T.AAPL", "T.MSFT", "Q.AAPL"))
}

func TestWhatIsNoRequestIsPassedOver(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.client("/stocks")
	c.expect(greeting)
	c.send(subscribe("T.AAPL"), `{"action":"subscribe"}`, "no JSON", `{"action":"list","params":"all"}`, "[]", auth)
	c.expect(success)
	c.send(subscribe("ZZ.A,nonsense,T."), subscribe("T.AAPL"))
	c.expect(acks("T.AAPL"))
	require.NoError(t, c.framer.Send(ws.OpBinary, []byte(auth)))
	c.flush()
	c.take("T.MSFT")
}

// TestAcknowledgementFirst: what the upstream sends in one message with the acknowledgement goes
// to who asked, behind it.
func TestAcknowledgementFirst(t *testing.T) {
	b := start(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, tickstorm.Stocks)
	b.streaming(0)
	c := b.login("/stocks")
	c.send(subscribe("T.AAPL"))
	b.streaming(1)
	b.up.Broadcast([]byte("[" + fixture.Status("success", "subscribed to: T.AAPL") + "," + oddTrade + "]"))
	c.expect(acks("T.AAPL"), "["+oddTrade+"]")
}

func TestRefusals(t *testing.T) {
	keys := map[string]sim.Plan{"key": {Channels: []string{"T", "Q"}}}
	b := start(t, sim.Config{Quiet: true, Keys: keys, OptionLimit: 2}, tickstorm.Options, func(c *relay.Config) {
		c.Upstreams[0].MaxOptionQuotes = 2
	})
	b.streaming(0)
	a, c := b.login("/options"), b.login("/options")
	a.take("T.O:SPY251219C00650000")
	c.send(subscribe("A.O:SPY251219C00650000"))
	c.expect("[" + fixture.Status("error", "not authorized") + "]")
	const limit = "Subscription limit reached for feed. Please remove some subscriptions and try again."
	a.take("Q.O:A,Q.O:B")
	c.send(subscribe("Q.O:A,Q.O:C"))
	c.expect("[" + fixture.Status("error", limit) + "," + fixture.Status("error", limit) + "]")
	a.send(unsubscribe("Q.O:B"))
	a.expect("[" + fixture.Status("success", "unsubscribed to: Q.O:B") + "]")
	c.send(subscribe("Q.O:A,Q.O:C"))
	c.expect(acks("Q.O:A"), acks("Q.O:C")) // of which the upstream had one
	a.take("T.O:X")
}
