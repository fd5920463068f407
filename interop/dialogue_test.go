package interop

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDialogues holds every dialogue with every server.
func TestDialogues(t *testing.T) {
	for _, s := range servers(t) {
		t.Run(s.name, func(t *testing.T) {
			for _, c := range clients {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					p := connect(t, c, s.start(t, c.market, c.tls))
					p.authenticates(c.key)
					for i, step := range c.steps {
						step(p)
						require.False(t, t.Failed(), "step %d", i)
					}
				})
			}
		})
	}
}

// TestRefusals: a client whose key is refused finds that where it looks.
func TestRefusals(t *testing.T) {
	for _, s := range servers(t) {
		if s.any {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			for _, c := range clients {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					p := connect(t, c, s.start(t, c.market, c.tls))
					p.authenticates("another")
					if !c.waits {
						greeting()(p)
					}
					opensWith("auth_failed")(p)
					dropped()(p)
				})
			}
		})
	}
}
