package interop

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// patience is how long anything may take: no test waits for it to pass.
const patience = time.Minute

// peer is a client in its dialogue with a server.
type peer struct {
	*testing.T
	client
	ctx    context.Context
	server running
	conn   *websocket.Conn
	frames chan frame

	authenticated bool
	held          map[tickstorm.Topic]bool // acknowledged, in canonical spelling
	ended         map[tickstorm.Topic]bool // no longer held
	acks          map[string]int           // by text, those that no step has asked for yet
	told          []tellings               // all that is neither of the dialogue nor an acknowledgement
	seen          map[tickstorm.Topic]bool
}

// frame is what was read: a message, or the end of the connection.
type frame struct {
	kind websocket.MessageType
	text []byte
	err  error
}

// element is what all elements of the vendor's have.
type element struct {
	Ev      *string
	Status  *string
	Message *string
}

// connect makes the handshake, and begins to read.
func connect(t *testing.T, c client, s running) *peer {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}
	t.Cleanup(transport.CloseIdleConnections)
	conn, response, err := websocket.Dial(ctx, s.url+"/"+string(c.market), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: c.header.Clone(),
	})
	require.NoError(t, err)
	require.Empty(t, response.Header.Get("Sec-WebSocket-Extensions"))
	require.Empty(t, response.Header.Get("Sec-WebSocket-Protocol"))
	conn.SetReadLimit(c.limit)
	p := &peer{
		T: t, client: c, ctx: ctx, server: s, conn: conn, frames: make(chan frame, 1<<16),
		held: map[tickstorm.Topic]bool{}, ended: map[tickstorm.Topic]bool{}, acks: map[string]int{}, seen: map[tickstorm.Topic]bool{},
	}
	go func() {
		for {
			kind, text, err := conn.Read(ctx)
			p.frames <- frame{kind, text, err}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = conn.CloseNow() })
	return p
}

// read waits for a frame.
func (p *peer) read() frame {
	p.Helper()
	select {
	case f := <-p.frames:
		return f
	case <-p.ctx.Done():
		require.FailNow(p, "nothing comes")
		return frame{}
	}
}

// next waits for a message, and checks what holds for all of them, whoever the client is.
func (p *peer) next() []element {
	p.Helper()
	f := p.read()
	require.NoError(p, f.err)
	return p.take(f)
}

func (p *peer) take(f frame) []element {
	p.Helper()
	require.Equal(p, websocket.MessageText, f.kind)
	require.Less(p, len(f.text), 1_000_000, "no official client reads more")
	var raws []json.RawMessage
	require.NoError(p, json.Unmarshal(f.text, &raws), "a frame is an array: %.200s", f.text)
	require.NotEmpty(p, raws, "programs look at the first element")
	elements := make([]element, len(raws))
	for i, raw := range raws {
		e := &elements[i]
		require.NoError(p, json.Unmarshal(raw, e), "%s", raw)
		require.NotNil(p, e.Ev, "clients look at ev: %s", raw)
		if *e.Ev == "status" {
			require.NotNil(p, e.Status, "clients look at status: %s", raw)
			require.NotNil(p, e.Message, "clients look at message: %s", raw)
			p.status(e)
			continue
		}
		require.True(p, p.authenticated, "before the key was accepted: %s", raw)
		p.event(*e.Ev, raw)
	}
	return elements
}

// status notes a status.
func (p *peer) status(e *element) {
	switch *e.Status {
	case "connected", "auth_failed", "error":
	case "auth_success":
		p.authenticated = true
	case "success":
		p.acks[*e.Message]++
		what, topic, ok := strings.Cut(*e.Message, "subscribed to: ")
		require.True(p, ok, *e.Message)
		if what == "" {
			p.held[p.canonical(topic)] = true
		} else if t := p.canonical(topic); p.held[t] {
			delete(p.held, t)
			p.ended[t] = true
		}
	default:
		p.told = append(p.told, tellings{status: *e.Status, text: *e.Message})
	}
}

// event notes an event, which is of the topics alone that the client has, or of those that it had when the
// event was queued behind others.
func (p *peer) event(ev string, raw json.RawMessage) {
	topic := topicOf(p, p.market, raw)
	all := tickstorm.Topic{Channel: ev, Symbol: tickstorm.All}
	late := p.server.queues && (p.ended[topic] || p.ended[all])
	require.True(p, p.held[topic] || p.held[all] || late, "nobody has asked for %s", raw)
	p.seen[topic], p.seen[all] = true, true
	p.told = append(p.told, tellings{raw: string(raw)})
}

func (p *peer) canonical(topic string) tickstorm.Topic {
	t, err := tickstorm.ParseTopic(topic)
	require.NoError(p, err)
	return p.market.Canonical(t)
}

// topicOf reads of which topic an element is.
func topicOf(t testing.TB, m tickstorm.Market, raw []byte) tickstorm.Topic {
	var e struct{ Ev, Sym, Pair, P string }
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &all))
	for key, to := range map[string]*string{"ev": &e.Ev, "sym": &e.Sym, "pair": &e.Pair, "p": &e.P} {
		if text, ok := all[key]; ok && text[0] == '"' { // p of a trade is its price
			require.NoError(t, json.Unmarshal(text, to))
		}
	}
	return m.Canonical(tickstorm.Topic{Channel: e.Ev, Symbol: e.Sym + e.Pair + e.P})
}

// step is one step of a dialogue.
type step func(p *peer)

// sends sends a request.
func sends(request string) step {
	return func(p *peer) {
		p.Helper()
		require.NoError(p, p.conn.Write(p.ctx, websocket.MessageText, []byte(request)))
	}
}

// greeting: the next frame is the greeting, and nothing else is in it.
func greeting() step {
	return func(p *peer) {
		p.Helper()
		f := p.next()
		require.Len(p, f, 1)
		require.Equal(p, "connected", *f[0].Status)
	}
}

// opensWith: the next frame begins with a status.
func opensWith(status string) step {
	return func(p *peer) {
		p.Helper()
		f := p.next()
		require.NotNil(p, f[0].Status)
		require.Equal(p, status, *f[0].Status)
	}
}

// acknowledged waits until each of some topics, as it was spelled, is acknowledged, once.
func acknowledged(words string, topics ...string) step {
	return func(p *peer) {
		p.Helper()
		for slices.ContainsFunc(topics, func(t string) bool { return p.acks[words+t] == 0 }) {
			p.next()
		}
		for _, t := range topics {
			require.Equal(p, 1, p.acks[words+t], t)
			delete(p.acks, words+t)
		}
	}
}

// streams waits for events of each of some topics, or, of a server that has an end, for all that it
// has for the client: byte for byte and in order.
func streams(topics ...string) step {
	return func(p *peer) {
		p.Helper()
		p.server.begin()
		if p.server.recorded == nil {
			for slices.ContainsFunc(topics, func(t string) bool { return !p.seen[p.canonical(t)] }) {
				p.next()
			}
			return
		}
		want := p.server.recorded.of(p, p.held)
		for len(p.told) < len(want) {
			p.next()
		}
		for i, w := range want {
			require.Equal(p, w, p.told[i], "%d of %d", i, len(want))
		}
		silence()(p) // the end: the server stays, and says nothing
		require.Len(p, p.told, len(want))
	}
}

// pings: a ping is answered.
func pings() step {
	return func(p *peer) {
		p.Helper()
		require.NoError(p, p.conn.Ping(p.ctx)) // beside which frames are read
	}
}

// silence: nothing has come behind what was read before the server answers a ping, but for what is
// still asked for.
func silence() step {
	return func(p *peer) {
		p.Helper()
		pings()(p)
		for {
			select {
			case f := <-p.frames:
				require.NoError(p, f.err)
				p.take(f)
				continue
			default:
			}
			break
		}
		require.Empty(p, p.acks, "nobody has asked")
	}
}

// closes closes with 1000 and a reason, which the server answers.
func closes(reason string) step {
	return func(p *peer) {
		p.Helper()
		require.NoError(p, p.conn.Close(websocket.StatusNormalClosure, reason))
		for {
			if f := p.read(); f.err != nil {
				return
			}
		}
	}
}

// dropped: the connection ends.
func dropped() step {
	return func(p *peer) {
		p.Helper()
		for {
			if f := p.read(); f.err != nil {
				require.NoError(p, p.ctx.Err())
				return
			}
		}
	}
}

// authenticates sends the key, in the client's time and words.
func (p *peer) authenticates(spelled string) {
	if p.waits {
		greeting()(p)
	}
	sends(strings.ReplaceAll(p.auth, "KEY", spelled))(p)
}
