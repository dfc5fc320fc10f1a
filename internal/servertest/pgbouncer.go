package servertest

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// PgBouncer starts a PgBouncer in transaction mode before the server of a URL, with so many connections to each of its
// databases, and returns the URL that leads through it.
func PgBouncer(t testing.TB, through string, connections int) string {
	t.Helper()
	program := Need(t, "TEST_PGBOUNCER")
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	dir, address := Home(t), FreeAddress(t)
	config := filepath.Join(dir, "pgbouncer.ini")
	File(t, config, strings.Join([]string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%s user=%s", u.Hostname(), u.Port(), u.User.Username()),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + Port(address),
		"unix_socket_dir =",
		"auth_type = any",
		"pool_mode = transaction",
		"max_client_conn = 1000",
		fmt.Sprintf("default_pool_size = %d", connections),
		"",
	}, "\n"))
	s := &Server{
		T:       t,
		Name:    "pgbouncer",
		Address: address,
		Args:    []string{program, config},
		Owner:   Nobody(t),
		Dying:   "KILL",
		Log:     filepath.Join(dir, "pgbouncer.log"),
		Ready: func() error {
			c, err := net.DialTimeout("tcp", address, time.Second)
			if err == nil {
				c.Close()
			}
			return err
		},
	}
	s.Start()
	u.Host = address
	return u.String()
}
