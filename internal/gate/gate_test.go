package gate_test

import (
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/gate"
)

// arrivals is a listener that connections come to from addresses.
type arrivals struct {
	net.Listener
	from []string
	came []*arrival
}

var errNobody = errors.New("nobody comes")

func (a *arrivals) Accept() (net.Conn, error) {
	if len(a.from) == 0 {
		return nil, errNobody
	}
	c := &arrival{from: a.from[0]}
	a.from, a.came = a.from[1:], append(a.came, c)
	return c, nil
}

type arrival struct {
	net.Conn
	from   string
	closed int
}

func (a *arrival) Close() error         { a.closed++; return nil }
func (a *arrival) RemoteAddr() net.Addr { return address(a.from) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// TestListener: what there is no room for is closed, and whoever leaves makes room, once.
func TestListener(t *testing.T) {
	const here, there, beside = "127.0.0.1:1", "192.0.2.1:1", "[2001:db8::1]:1"
	comes := &arrivals{from: []string{here, there, there, there, beside, here}}
	l := &gate.Listener{Listener: comes, Most: 4, Share: 2}
	var in []*gate.Conn
	for want := 1; want <= 4; want++ {
		c, err := l.Accept()
		require.NoError(t, err)
		in = append(in, c.(*gate.Conn))
		require.Equal(t, want, in[want-1].Place)
	}
	require.Equal(t, []string{here, there, there, beside}, []string{
		in[0].RemoteAddr().String(), in[1].RemoteAddr().String(), in[2].RemoteAddr().String(), in[3].RemoteAddr().String(),
	})
	_, err := l.Accept()
	require.Equal(t, errNobody, err)
	for i, c := range comes.came {
		require.Equal(t, i == 3 || i == 5, c.closed == 1, "%d", i)
	}
	in[1].Trust()
	require.NoError(t, in[0].Close())
	require.NoError(t, in[0].Close())
	comes.from = []string{there, there}
	c, err := l.Accept() // of strangers there was one
	require.NoError(t, err)
	require.Equal(t, 4, c.(*gate.Conn).Place)
	_, err = l.Accept()
	require.Equal(t, errNobody, err, "it is full")
	for _, c := range in {
		require.NoError(t, c.Close())
	}
	comes.from = []string{there, there}
	_, err = l.Accept()
	require.NoError(t, err)
	_, err = l.Accept()
	require.Equal(t, errNobody, err, "it has its share")
}

func TestAddress(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1/32", "[::ffff:192.0.2.1]:80": "192.0.2.1/32", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "127.0.0.1:80": "", "[::1]:80": "", "@": "", "": "", "pipe": "",
	} {
		p, ok := gate.Address(from)
		require.Equal(t, want != "", ok, from)
		if ok {
			require.Equal(t, want, p.String())
		}
	}
	require.Equal(t, 16, gate.Share(1))
	require.Equal(t, 24, gate.Share(96), "of an admin server's, by default")
	require.Equal(t, 250, gate.Share(1000))
}
