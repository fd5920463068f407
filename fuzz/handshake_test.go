package fuzz

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// FuzzHandshake: whatever answers the handshake, Dial ends with an error that is short and
// has no key in it, or the WebSocket is open, and it is the same however the answer is cut.
// PROOF in an answer stands for the Sec-WebSocket-Accept of the key that came.
func FuzzHandshake(f *testing.F) {
	const key = "tEst-kEy"
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: PROOF\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 X\r\nRetry-After: 99999999999999999999\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: https://me:secret@host/?apiKey=" + key + "\r\n\r\n",
		"HTTP/1.1 429 X\r\nretry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\nServer: n",
		"HTTP/1.1 101\nUpgrade:websocket\n Connection: x\n\n", "\x15\x03\x03\x00\x02\x02\x28", "220 " + key + "\r\n", "",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var results [2]string
		for i, whole := range []bool{true, false} {
			conn, err := tickstorm.Dial(context.Background(), tickstorm.Config{
				Key: key, Market: tickstorm.Stocks, Feed: "ws://host", Proxy: tickstorm.NoProxy,
				NetDial: func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go answerWith(server, answer, whole)
					return client, nil
				},
			}, nil)
			if err == nil {
				require.NoError(t, conn.Close())
				return
			}
			require.NotContains(t, err.Error(), key)
			require.Less(t, len(err.Error()), 2000)
			var dial *tickstorm.DialError
			if errors.As(err, &dial) {
				results[i] = fmt.Sprint(dial.Status, dial.RetryAfter > 0, errors.Is(err, tickstorm.ErrHandshake),
					errors.Is(err, tickstorm.ErrAnswerTooLong), errors.Is(err, io.ErrUnexpectedEOF))
				require.True(t, dial.Status == 0 || dial.Status >= 100 && dial.Status <= 999)
				require.LessOrEqual(t, dial.RetryAfter.Minutes(), 5.0)
			}
		}
		require.Equal(t, results[0], results[1])
	})
}

// answerWith reads a handshake, answers, in bytes or as a whole, and hangs up.
func answerWith(nc net.Conn, answer []byte, whole bool) {
	defer nc.Close()
	r, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(io.Discard, nc) }() // in memory, nothing is written until it is read
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer = bytes.ReplaceAll(answer, []byte("PROOF"), []byte(base64.StdEncoding.EncodeToString(sum[:])))
	if whole {
		_, _ = nc.Write(answer)
		return
	}
	for i := range answer {
		if _, err := nc.Write(answer[i : i+1]); err != nil {
			return
		}
	}
}
