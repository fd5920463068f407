package interop

import (
	"net/http"

	"github.com/tickstorm/tickstorm"
)

// key is the API key. Of the official clients only Go's spells its & in another way.
const key = "key&1"

// client is how an official client speaks.
type client struct {
	name   string
	market tickstorm.Market
	tls    bool        // it knows nothing else
	header http.Header // of its handshake, beside those that are due
	limit  int64       // bytes of the longest frame that it reads, -1 for any
	auth   string      // its request, with KEY for the key as it spells it
	key    string
	// waits: the key is sent when the greeting has come.
	waits bool
	steps []step // what comes behind the key's request
}

// clients are those of the vendor. Python's and the JVM's websocket libraries offer compression, which no
// server here may accept: a client would then expect it.
var clients = []client{
	{
		// The key and all topics go out at once, a request for each channel.
		name: "Go", market: tickstorm.Stocks, limit: 1_000_000,
		header: http.Header{"User-Agent": {"Go-http-client/1.1"}},
		auth:   `{"action":"auth","params":"KEY"}`, key: `key\u00261`,
		steps: []step{
			sends(`{"action":"subscribe","params":"T.AAPL,T.MSFT"}`),
			sends(`{"action":"subscribe","params":"Q.AAPL"}`),
			greeting(),
			opensWith("auth_success"),
			acknowledged("subscribed to: ", "T.AAPL", "T.MSFT", "Q.AAPL"),
			streams("T.AAPL", "T.MSFT", "Q.AAPL"),
			pings(), // each 25 s; a message or a pong each 30 s
			sends(`{"action":"unsubscribe","params":"T.AAPL,T.MSFT"}`),
			acknowledged("unsubscribed to: ", "T.AAPL", "T.MSFT"),
			sends(`{"action":"subscribe","params":"T.*"}`),
			acknowledged("subscribed to: ", "T.*"),
			sends(`{"action":"unsubscribe","params":"T.*"}`),
			sends(`{"action":"unsubscribe","params":"Q.AAPL"}`),
			acknowledged("unsubscribed to: ", "T.*", "Q.AAPL"),
			silence(),
			closes(""),
		},
	},
	{
		// One frame is the greeting, and the answer to the key is the first element of the next one.
		// After that come the topics of a set, in any order, in one request. Who asks for T.* has the
		// single ones taken back behind it.
		name: "Python", market: tickstorm.Stocks, limit: 1 << 20, waits: true,
		header: http.Header{
			"User-Agent":               {"Python/3.13 websockets/15.0.1"},
			"Sec-WebSocket-Extensions": {"permessage-deflate; client_max_window_bits"},
		},
		auth: `{"action": "auth", "params": "KEY"}`, key: key,
		steps: []step{
			opensWith("auth_success"),
			sends(`{"action": "subscribe", "params": "Q.AAPL,T.AAPL"}`),
			acknowledged("subscribed to: ", "Q.AAPL", "T.AAPL"),
			sends(`{"action": "subscribe", "params": "T.*"}`),
			sends(`{"action": "unsubscribe", "params": "T.AAPL"}`),
			acknowledged("subscribed to: ", "T.*"),
			acknowledged("unsubscribed to: ", "T.AAPL"),
			streams("T.*", "Q.AAPL", "T.AAPL"),
			pings(), // each 20 s
			sends(`{"action": "unsubscribe", "params": "T.*,Q.AAPL"}`),
			acknowledged("unsubscribed to: ", "T.*", "Q.AAPL"),
			silence(),
			closes(""),
		},
	},
	{
		// The library sends the key; the rest is the program's, which the vendor's example has subscribe
		// when the first element of a frame says that it was accepted.
		name: "JavaScript", market: tickstorm.Stocks, limit: 1 << 20,
		auth: `{"action":"auth","params":"KEY"}`, key: key,
		steps: []step{
			greeting(),
			opensWith("auth_success"),
			sends(`{"action":"subscribe","params":"Q.MSFT"}`),
			acknowledged("subscribed to: ", "Q.MSFT"),
			streams("Q.MSFT"),
			sends(`{"action":"unsubscribe","params":"Q.MSFT"}`),
			acknowledged("unsubscribed to: ", "Q.MSFT"),
			silence(),
			closes("Normal connection closure"),
		},
	},
	{
		// Another of its examples sends the topics right behind the key, and later a channel that is
		// gone since.
		name: "JavaScript, all of crypto", market: tickstorm.Crypto, limit: 1 << 20,
		auth: `{"action":"auth","params":"KEY"}`, key: key,
		steps: []step{
			sends(`{"action":"subscribe","params":"XT.*"}`),
			greeting(),
			opensWith("auth_success"),
			acknowledged("subscribed to: ", "XT.*"),
			sends(`{"action":"subscribe","params":"XS.*"}`),
			streams("XT.*"),
			closes("Normal connection closure"),
		},
	},
	{
		// Its pairs have a slash.
		name: "JavaScript, pairs of forex", market: tickstorm.Forex, limit: 1 << 20,
		auth: `{"action":"auth","params":"KEY"}`, key: key,
		steps: []step{
			sends(`{"action":"subscribe","params":"C.EUR/USD,C.USD/JPY"}`),
			greeting(),
			opensWith("auth_success"),
			acknowledged("subscribed to: ", "C.EUR/USD", "C.USD/JPY"),
			streams("C.EUR/USD", "C.USD/JPY"),
			closes("Normal connection closure"),
		},
	},
	{
		// It takes a host alone, and so TLS. It never learns that its key was accepted, and
		// programs subscribe at once.
		name: "JVM", market: tickstorm.Stocks, tls: true, limit: -1,
		header: http.Header{
			"User-Agent":               {"Massive-Kotlin-Client/1.0"},
			"Accept":                   {"*/*"},
			"Accept-Charset":           {"UTF-8"},
			"Sec-WebSocket-Extensions": {"permessage-deflate"},
		},
		auth: `{"action": "auth", "params": "KEY"}`, key: key,
		steps: []step{
			sends(`{"action": "subscribe", "params":"T.AAPL,Q.AAPL,T.MSFT"}`),
			greeting(),
			opensWith("auth_success"),
			acknowledged("subscribed to: ", "T.AAPL", "Q.AAPL", "T.MSFT"),
			streams("T.AAPL", "Q.AAPL", "T.MSFT"),
			sends(`{"action": "unsubscribe", "params":"T.AAPL,Q.AAPL,T.MSFT"}`),
			acknowledged("unsubscribed to: ", "T.AAPL", "Q.AAPL", "T.MSFT"),
			silence(),
			closes(""),
		},
	},
}
