package epoll_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// This file is the server's side of TLS 1.3 after the handshake (RFC 8446), which
// crypto/tls does not let a test take part in: it never asks for a key update, and sends
// its tickets when it likes.

// Types of records and of handshake messages.
const (
	recordHandshake = 22
	recordData      = 23
	newTicket       = 4
	keyUpdate       = 24
)

var errCipherSuite = errors.New("cipher suite is not the one that the test knows")

// tls13Peer writes and reads records. Reading and writing are independent.
type tls13Peer struct {
	nc      net.Conn
	in, out direction
}

// direction is the protection of records of one direction.
type direction struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// acceptTLS13 does the handshake and takes over from crypto/tls.
func acceptTLS13(nc net.Conn, cfg *tls.Config) (*tls13Peer, error) {
	var log keyLog
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.SessionTicketsDisabled, cfg.KeyLogWriter = tls.VersionTLS13, true, &log
	nc = &recordwise{Conn: nc}
	server := tls.Server(nc, cfg)
	if err := server.Handshake(); err != nil {
		return nil, err
	}
	if server.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		return nil, errCipherSuite
	}
	p := &tls13Peer{nc: nc}
	for label, d := range map[string]*direction{"CLIENT_TRAFFIC_SECRET_0": &p.in, "SERVER_TRAFFIC_SECRET_0": &p.out} {
		secret, err := log.secret(label)
		if err != nil {
			return nil, err
		}
		if err := d.rekey(secret); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// keyLog takes what tls.Config.KeyLogWriter is told.
type keyLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *keyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *keyLog) secret(label string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == label {
			return hex.DecodeString(f[2])
		}
	}
	return nil, fmt.Errorf("no %s", label)
}

// recordwise never reads past the end of a record, so that crypto/tls leaves those
// behind the handshake alone.
type recordwise struct {
	net.Conn
	header []byte // of the record that is being read, as far as it was
	left   int    // of its payload
}

func (r *recordwise) Read(p []byte) (int, error) {
	if len(r.header) == 5 && r.left == 0 {
		r.header = r.header[:0]
	}
	if len(r.header) < 5 {
		n, err := r.Conn.Read(p[:min(len(p), 5-len(r.header))])
		if r.header = append(r.header, p[:n]...); len(r.header) == 5 {
			r.left = int(binary.BigEndian.Uint16(r.header[3:]))
		}
		return n, err
	}
	n, err := r.Conn.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

func expandLabel(secret []byte, label string, n int) ([]byte, error) {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "+label...)
	return hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
}

func (d *direction) rekey(secret []byte) error {
	key, err := expandLabel(secret, "key", 16)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	if d.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	d.secret, d.seq = secret, 0
	d.iv, err = expandLabel(secret, "iv", 12)
	return err
}

// update goes to the next generation of keys.
func (d *direction) update() error {
	next, err := expandLabel(d.secret, "traffic upd", 32)
	if err != nil {
		return err
	}
	return d.rekey(next)
}

func (d *direction) nonce() []byte {
	nonce := bytes.Clone(d.iv)
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], d.seq)
	for i, b := range seq {
		nonce[4+i] ^= b
	}
	d.seq++
	return nonce
}

// record returns a record.
func (p *tls13Peer) record(kind byte, payload []byte) []byte {
	inner := append(bytes.Clone(payload), kind)
	header := binary.BigEndian.AppendUint16([]byte{recordData, 3, 3}, uint16(len(inner)+p.out.aead.Overhead()))
	return p.out.aead.Seal(header, p.out.nonce(), inner, header)
}

// data returns the records of application data.
func (p *tls13Peer) data(payload []byte) (records []byte) {
	for len(payload) > 0 {
		n := min(len(payload), 16384)
		records = append(records, p.record(recordData, payload[:n])...)
		payload = payload[n:]
	}
	return records
}

// keyUpdate returns the record that announces new keys and asks for the same.
func (p *tls13Peer) keyUpdate() ([]byte, error) {
	r := p.record(recordHandshake, []byte{keyUpdate, 0, 0, 1, 1})
	return r, p.out.update()
}

// ticket returns a session ticket, in two records.
func (p *tls13Peer) ticket() []byte {
	body := append([]byte{0, 0, 1, 0, 1, 2, 3, 4, 1, 9, 0, 100}, make([]byte, 100)...)
	body = append(body, 0, 0) // no extensions
	msg := append([]byte{newTicket, 0, 0, byte(len(body))}, body...)
	return append(p.record(recordHandshake, msg[:7]), p.record(recordHandshake, msg[7:])...)
}

// read returns the type and payload of the next record, and follows key updates.
func (p *tls13Peer) read() (kind byte, payload []byte, err error) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(p.nc, header); err != nil {
		return 0, nil, err
	}
	sealed := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(p.nc, sealed); err != nil {
		return 0, nil, err
	}
	if header[0] != recordData {
		return header[0], sealed, nil // a change of cipher spec, for old middleboxes
	}
	inner, err := p.in.aead.Open(nil, p.in.nonce(), sealed, header)
	if err != nil {
		return 0, nil, fmt.Errorf("a record that does not decrypt: %w", err)
	}
	kind, payload = inner[len(inner)-1], inner[:len(inner)-1]
	if kind == recordHandshake && payload[0] == keyUpdate {
		err = p.in.update()
	}
	return kind, payload, err
}
