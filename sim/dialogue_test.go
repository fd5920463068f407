package sim_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

func TestSessionOnEveryMarket(t *testing.T) {
	for _, tls := range []bool{false, true} {
		s := start(t, sim.Config{TLS: tls, Rate: -1})
		for _, m := range tickstorm.Markets() {
			t.Run(fmt.Sprintf("%s tls=%v", m, tls), func(t *testing.T) {
				c := login(t, s, m)
				channel, err := m.Channel(m.Streams()[0])
				require.NoError(t, err)
				c.send(subscribe(channel + ".*"))
				c.expect(acks(channel + ".*"))
				p := tickstorm.NewParser(m)
				require.NoError(t, p.Parse([]byte(c.next()), tickstorm.NopHandler{}))
				require.Positive(t, total(p))
				require.NoError(t, c.framer.Close(ws.StatusNormalClosure, ""))
				c.flush()
				var closed *frame.CloseError
				require.ErrorAs(t, c.end(), &closed)
				require.Equal(t, ws.StatusNormalClosure, closed.Code)
			})
		}
	}
}

// What a client sends behind its handshake without waiting for the answer is heard, wherever the
// network cuts it.
func TestRequestsBehindTheHandshake(t *testing.T) {
	s := startPipe(t, sim.Config{Rate: -1})
	sent := "GET /stocks HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	requests := len(sent)
	for _, m := range []string{`{"action":"auth","params":"key"}`, subscribe("T.A")} {
		sent += string(ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(m)))))
	}
	for _, cut := range []int{requests - 1, requests, requests + 1, requests + 20, len(sent)} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			nc, err := s.ClientConfig(tickstorm.Stocks).NetDial(t.Context(), "tcp", "localhost:80")
			require.NoError(t, err)
			defer nc.Close()
			require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
			wrote := make(chan error, 1)
			go func() {
				_, err := io.WriteString(nc, sent[:cut])
				if err == nil && cut < len(sent) {
					_, err = io.WriteString(nc, sent[cut:])
				}
				wrote <- err
			}()
			var got []byte
			p := make([]byte, 4096)
			for !bytes.Contains(got, []byte("subscribed to: T.A")) {
				n, err := nc.Read(p)
				require.NoError(t, err, "%s", got)
				got = append(got, p[:n]...)
			}
			require.NoError(t, <-wrote)
		})
	}
}

func TestUnknownPath(t *testing.T) {
	s := start(t, sim.Config{})
	_, err := dial(s, "bonds")
	require.Equal(t, ws.StatusError(404), err)
	await(t, s, func(st sim.Stats) bool { return st.Refused == 1 }) // counted once it has been answered
}

func TestKeys(t *testing.T) {
	const failed, noPlan = "authentication failed", "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade."
	cases := []struct {
		name, key, refusal string
		keys               map[string]sim.Plan
	}{
		{"any key", "whatever", "", nil},
		{"bad", sim.BadKey, failed, nil},
		{"empty", "", failed, nil},
		{"no plan", sim.NoPlanKey, noPlan, nil},
		{"listed", "gold", "", map[string]sim.Plan{"gold": {}}},
		{"not listed", "silver", failed, map[string]sim.Plan{"gold": {}}},
		{"another market", "gold", noPlan, map[string]sim.Plan{"gold": {Markets: []tickstorm.Market{tickstorm.Forex}}}},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, sim.Config{Keys: test.keys})
			c := connect(t, s, tickstorm.Stocks)
			c.next()
			// What follows a bad key must not cost the client the answer to it.
			c.send(`{"action":"auth","params":"` + test.key + `"}`)
			_ = c.framer.Send(ws.OpText, []byte(subscribe("T.AAPL")))
			_, _ = c.nc.Write(c.framer.Outgoing())
			if test.refusal == "" {
				c.expect("[" + fixture.Status("auth_success", "authenticated") + "]")
				return
			}
			c.expect("[" + fixture.Status("auth_failed", test.refusal) + "]")
			require.ErrorIs(t, c.end(), io.EOF, "no close frame, and nothing lost")
			require.Equal(t, 1, s.Stats().BadKeys)
		})
	}
}

func TestKeyIsNeverShown(t *testing.T) {
	var log bytes.Buffer
	s := start(t, sim.Config{
		Keys:   map[string]sim.Plan{"s3cret": {}},
		Quiet:  true,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	c := connect(t, s, tickstorm.Stocks)
	c.send(`{"action":"auth","params":"wr0ng`)
	c.send(`{"action":"auth" , "params":"s3cret"}`)
	c.send(subscribe("T.AAPL,T.s3cret"))
	await(t, s, func(st sim.Stats) bool { return st.Topics == 2 })
	require.Equal(t, []string{
		"[redacted]", `{"action":"auth","params":"[redacted]"}`, subscribe("T.AAPL,T.[redacted]"),
	}, s.Conns()[0].Requests())
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), "redacted")
	require.NotContains(t, log.String(), "s3cret")
	require.NotContains(t, log.String(), "wr0ng")
}

// TestKeysInPartsAreNeverShown: one key may be the beginning of another, and JSON can write
// it in many ways.
func TestKeysInPartsAreNeverShown(t *testing.T) {
	keys := []string{"s3cret", "s3cret-more", `quo"ted`}
	cfg := sim.Config{Keys: map[string]sim.Plan{}, Quiet: true}
	for _, key := range keys {
		cfg.Keys[key] = sim.Plan{}
	}
	s := start(t, cfg)
	c := connect(t, s, tickstorm.Stocks)
	c.send(`{"action":"auth","params":"s3cret-more"}`)
	c.send(`{"action":"subscribe","params":"T.s3cret,T.s3cret-more"}`)
	c.send(`{"action":"snapshot","params":"quo\"ted"}`)
	await(t, s, func(st sim.Stats) bool { return st.Requests == 3 })
	require.Equal(t, []string{
		`{"action":"auth","params":"[redacted]"}`, subscribe("T.[redacted],T.[redacted]"), `{"action":"snapshot","params":"[redacted]"}`,
	}, s.Conns()[0].Requests())
}

func TestAuthTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startPipe(t, sim.Config{AuthTimeout: 3 * time.Second})
		c := connect(t, s, tickstorm.Stocks)
		begun := time.Now()
		c.next()
		c.expect("[" + fixture.Status("auth_timeout", "No authentication request received.") + "]")
		require.ErrorIs(t, c.end(), io.EOF)
		require.Equal(t, 3*time.Second, time.Since(begun))
	})
}

func TestAcks(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.AAPL,A.AAPL"))
	c.expect(acks("T.AAPL", "A.AAPL"))
	c.send(`{ "action": "subscribe", "params": "AM.AAPL, T.BRK.B" }`)
	c.expect(acks("AM.AAPL", "T.BRK.B"))

	// Of these only the last is answered.
	c.send(subscribe("T.AAPL"))     // held
	c.send(subscribe("ZZ.AAPL"))    // no such channel
	c.send(subscribe("nonsense"))   // no topic
	c.send(`this is not JSON`)      //
	c.send(`{"action":"snapshot"}`) // no such action
	c.send(`{"action":"subscribe","params":7}`)
	c.send(`{"action":"unsubscribe","params":"T.MSFT"}`) // not held
	c.send(subscribe("t.AAPL,T.NOSUCHSYMBOL"))
	c.expect(acks("T.NOSUCHSYMBOL"))

	c.send(`{"action":"unsubscribe","params":"T.AAPL,ZZ.Z"}`)
	c.expect("[" + fixture.Status("success", "unsubscribed to: T.AAPL") + "]")
	require.Equal(t, "[A.AAPL AM.AAPL T.BRK.B T.NOSUCHSYMBOL]", fmt.Sprint(s.Conns()[0].Topics()))
}

func TestAcksKeepTheSpelling(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	c := login(t, s, tickstorm.Forex)
	c.send(subscribe("C.EUR-USD"))
	c.expect(acks("C.EUR-USD"))
	c.send(subscribe("C.C:EUR-USD,C.GBP/USD")) // the first is held under another spelling
	c.expect(acks("C.GBP/USD"))
}

func TestAckStyles(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, Acks: sim.AckRequest})
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.AAPL,A.AAPL"))
	c.expect("[" + fixture.Status("success", "subscribed") + "]")

	s = start(t, sim.Config{Quiet: true, Acks: sim.AckList})
	c = login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.AAPL, A.AAPL,ZZ.Z"))
	c.expect("[" + fixture.Status("success", "subscribed to: T.AAPL,A.AAPL") + "]")
	c.send(`{"action":"unsubscribe","params":"T.AAPL,A.AAPL"}`)
	c.expect("[" + fixture.Status("success", "unsubscribed to: T.AAPL,A.AAPL") + "]")

	s = start(t, sim.Config{Quiet: true, Acks: sim.AckNothing})
	c = login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.AAPL,A.AAPL"))
	await(t, s, func(st sim.Stats) bool { return st.Topics == 2 })
	s.Broadcast([]byte(`[]`))
	c.expect(`[]`)
}

func TestOldWords(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, OldWords: true, Keys: map[string]sim.Plan{"k": {}}})
	c := connect(t, s, tickstorm.Stocks)
	c.next()
	c.send(`this is not JSON`)
	c.expect("[" + fixture.Status("error", "Invalid JSON") + "]")
	c.send(`{"action":"auth","params":"k"}`)
	c.expect("[" + fixture.Status("success", "authenticated") + "]")
	c.send(subscribe("T.AAPL"))
	c.expect(acks("T.AAPL"))
	c.send(`{"action":"unsubscribe","params":"T.AAPL"}`)
	c.expect("[" + fixture.Status("success", "unsubscribed from: T.AAPL") + "]")

	bad := connect(t, s, tickstorm.Stocks)
	bad.next()
	bad.send(`{"action":"auth","params":"wrong"}`)
	bad.expect("[" + fixture.Status("error", "authentication failed") + "]")
	require.ErrorIs(t, bad.end(), io.EOF)

	newer := connect(t, s, tickstorm.Stocks)
	newer.next()
	newer.send(`{"action":"auth","params":"k"}`)
	newer.expect("[" + fixture.Status("success", "authenticated") + "]")
	c.expect("[" + fixture.Status("disconnected", tooMany) + "]")
}

func TestManyAcks(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	c := login(t, s, tickstorm.Stocks)
	var topics []string
	for _, symbol := range sim.Symbols(tickstorm.Stocks)[:250] {
		topics = append(topics, "T."+symbol)
	}
	c.send(subscribe(strings.Join(topics, ",")))
	c.expect(acks(topics[:100]...))
	c.expect(acks(topics[100:200]...))
	c.expect(acks(topics[200:]...))
}

func TestPipelined(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	c := connect(t, s, tickstorm.Stocks)
	require.NoError(t, c.framer.Send(ws.OpText, []byte(subscribe("T.EARLY")))) // before the key: ignored
	require.NoError(t, c.framer.Send(ws.OpText, []byte(`{"action":"auth","params":"k"}`)))
	require.NoError(t, c.framer.Send(ws.OpText, []byte(subscribe("T.AAPL"))))
	c.flush()
	c.next()
	c.expect("[" + fixture.Status("auth_success", "authenticated") + "]")
	c.expect(acks("T.AAPL"))
}

func TestNotAuthorized(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"k": {Channels: []string{"A", "AM"}}}})
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("A.AAPL,T.AAPL,AM.AAPL,Q.AAPL"))
	refusal := fixture.Status("error", "not authorized")
	c.expect("[" + refusal + "," + refusal + "," + acks("A.AAPL", "AM.AAPL")[1:])
}

func TestNotRealTime(t *testing.T) {
	s := start(t, sim.Config{Keys: map[string]sim.Plan{"k": {NotRealTime: true}}})
	c := login(t, s, tickstorm.Stocks)
	require.Contains(t, c.next(), "You don't have access real-time data")
	c.send(subscribe("T.AAPL"))
	require.Contains(t, c.next(), "You don't have access real-time data")
	require.Zero(t, s.Stats().Topics)
}

func TestOptionLimit(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, OptionLimit: 5})
	c := login(t, s, tickstorm.Options)
	symbols := sim.Symbols(tickstorm.Options)
	quotes := func(symbols ...string) string { return "Q." + strings.Join(symbols, ",Q.") }
	c.send(subscribe(quotes(symbols[:4]...)))
	c.expect(acks(strings.Split(quotes(symbols[:4]...), ",")...))

	limit := fixture.Status("error", "Subscription limit reached for feed. Please remove some subscriptions and try again.")
	c.send(subscribe(quotes(symbols[4:6]...) + ",T." + symbols[0]))
	c.expect("[" + limit + "," + limit + "]")
	c.send(subscribe("Q.*"))
	c.expect("[" + limit + "]")
	c.send(subscribe("T.*"))
	c.expect(acks("T.*"))

	c.send(`{"action":"unsubscribe","params":"Q.` + symbols[0] + `"}`)
	c.next()
	c.send(subscribe(quotes(symbols[4:6]...)))
	c.expect(acks(strings.Split(quotes(symbols[4:6]...), ",")...))
}

const tooMany = "Maximum number of websocket connections exceeded. "

func TestEvictOlder(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	older := login(t, s, tickstorm.Stocks)
	other := login(t, s, tickstorm.Crypto) // another market does not count
	newer := login(t, s, tickstorm.Stocks)
	older.expect("[" + fixture.Status("max_connections", tooMany) + "]")
	require.ErrorIs(t, older.end(), io.EOF)
	newer.send(subscribe("T.AAPL"))
	newer.expect(acks("T.AAPL"))
	other.send(subscribe("XT.BTC-USD"))
	other.expect(acks("XT.BTC-USD"))
	require.Equal(t, 1, s.Stats().Evicted)
}

func TestEvictNewcomer(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, Eviction: sim.EvictNewcomer})
	older := login(t, s, tickstorm.Stocks)
	newer := login(t, s, tickstorm.Stocks)
	newer.send(subscribe("T.AAPL"))
	newer.expect(acks("T.AAPL"))
	newer.expect("[" + fixture.Status("max_connections", tooMany) + "]")
	var closed *frame.CloseError
	require.ErrorAs(t, newer.end(), &closed)
	require.Equal(t, ws.StatusPolicyViolation, closed.Code)
	older.send(subscribe("T.AAPL"))
	older.expect(acks("T.AAPL"))
}

func TestMaxConnections(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"k": {MaxConnections: 3}}})
	var clients []*client
	for range 4 {
		clients = append(clients, login(t, s, tickstorm.Stocks))
	}
	clients[0].expect("[" + fixture.Status("max_connections", tooMany) + "]")
	for _, c := range clients[1:] {
		c.send(subscribe("T.AAPL"))
		c.expect(acks("T.AAPL"))
	}
}

func TestPings(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	c := login(t, s, tickstorm.Stocks)
	require.NoError(t, c.framer.Ping([]byte("x")))
	c.flush()
	for c.pongs == 0 {
		require.NoError(t, c.more())
	}
	require.NoError(t, s.Conns()[0].Ping(bytes.Repeat([]byte("y"), 200)))
	require.NoError(t, c.more())
	c.flush()
	await(t, s, func(st sim.Stats) bool { return st.Pings == 1 && st.Pongs == 1 })

	s = start(t, sim.Config{Quiet: true, IgnorePings: true})
	c = login(t, s, tickstorm.Stocks)
	require.NoError(t, c.framer.Ping(nil))
	c.flush()
	await(t, s, func(st sim.Stats) bool { return st.Pings == 1 })
	s.Broadcast([]byte("[]"))
	c.expect("[]")
	require.Zero(t, c.pongs)
}

func TestByHand(t *testing.T) {
	s := start(t, sim.Config{Quiet: true})
	c := login(t, s, tickstorm.Stocks)
	conn := s.Conns()[0]
	require.Equal(t, 1, conn.ID())
	require.Equal(t, tickstorm.Stocks, conn.Market())
	require.NoError(t, conn.Send([]byte(`[{"ev":"T"}]`)))
	c.expect(`[{"ev":"T"}]`)
	require.NoError(t, conn.SendStatus("error", `say "no"`))
	require.Contains(t, c.next(), `say \"no\"`)
	conn.Kick(1012, "restart")
	var closed *frame.CloseError
	require.ErrorAs(t, c.end(), &closed)
	require.Equal(t, ws.StatusCode(1012), closed.Code)
	require.Equal(t, "restart", closed.Reason)
	c.flush() // the client's close frame
	<-conn.Done()
	require.ErrorIs(t, conn.Send(nil), sim.ErrEnded)

	c = login(t, s, tickstorm.Stocks)
	s.Conns()[0].Cut()
	require.Error(t, c.end())
}

func TestEvictedWhileFlooded(t *testing.T) {
	for _, rate := range []int{10_000, -1} {
		synctest.Test(t, func(t *testing.T) {
			s := startPipe(t, sim.Config{Rate: rate, SlowTimeout: -1})
			older := login(t, s, tickstorm.Stocks) // does not read what it subscribes to
			older.send(subscribe("Q.*"))
			conn := s.Conns()[0]
			time.Sleep(time.Second)
			login(t, s, tickstorm.Stocks)
			<-conn.Done()
			require.Len(t, s.Conns(), 1)
		})
	}
}

func TestTLSInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startPipe(t, sim.Config{TLS: true, Rate: 10})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("Q.*"))
		c.next()
		begun := time.Now()
		c.next()
		require.Equal(t, 100*time.Millisecond, time.Since(begun))
	})
}

// TestHeldIsTold: who sees a key or a topic in the server's counts sends behind the answer to it.
func TestHeldIsTold(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, MaxConnections: -1})
	sent := []byte(`[{"ev":"T","sym":"A"}]`)
	for range 5 {
		c := connect(t, s, tickstorm.Stocks)
		conn := s.Conns()[0]
		c.next()
		after := func(request, answer string, there func() bool) {
			t.Helper()
			c.send(request)
			for begun := time.Now(); !there(); { // without a pause, which would be over too late
				require.Less(t, time.Since(begun), patience)
			}
			require.NoError(t, conn.Send(sent))
			c.expect("[" + answer + "]")
			c.expect(string(sent))
		}
		after(`{"action":"auth","params":"any"}`, fixture.Status("auth_success", "authenticated"), conn.Authenticated)
		for range 50 {
			after(subscribe("T.A"), fixture.Acks("T.A")[0], func() bool { return len(conn.Topics()) == 1 })
			after(`{"action":"unsubscribe","params":"T.A"}`, fixture.Status("success", "unsubscribed to: T.A"), func() bool { return len(conn.Topics()) == 0 })
		}
		require.NoError(t, c.nc.Close())
		<-conn.Done()
	}
}
