package redis

import (
	"context"
	"crypto/tls"

	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// newClient makes the client of the library. Every command is sent once: an
// addition that was carried out and whose answer was lost must not be sent
// again. Buffers are small, since every worker has its own connections. RESP2
// has no pushes, which nothing here wants. Maintenance notifications are off:
// Valkey does not know the command.
func (s *settings) newClient(secure *tls.Config) client.UniversalClient {
	const buffer = 4 << 10
	dial := s.dialer(secure)
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch s.mode {
	case sentinel:
		return client.NewFailoverClient(&client.FailoverOptions{
			MasterName: s.master, SentinelAddrs: s.addrs,
			SentinelUsername: s.sentinelUsername, SentinelPassword: s.sentinelPassword,
			Dialer: dial, Protocol: 2, Username: s.username, Password: s.password, DB: s.db,
			MaxRetries: -1, DialTimeout: s.connectTimeout(), DialerRetries: 1,
			ReadTimeout: s.timeout, WriteTimeout: s.timeout, ContextTimeoutEnabled: true,
			ReadBufferSize: buffer, WriteBufferSize: buffer, PipelinePoolSize: -1,
			PoolSize: s.pool, PoolTimeout: s.timeout, ConnMaxIdleTime: s.idle, DisableIdentity: true,
		})
	case cluster:
		return client.NewClusterClient(&client.ClusterOptions{
			Addrs: s.addrs, MaxRedirects: 3, DisableRoutingPolicies: true,
			Dialer: dial, Protocol: 2, Username: s.username, Password: s.password,
			MaxRetries: -1, DialTimeout: s.connectTimeout(), DialerRetries: 1,
			ReadTimeout: s.timeout, WriteTimeout: s.timeout, ContextTimeoutEnabled: true,
			ReadBufferSize: buffer, WriteBufferSize: buffer, PipelinePoolSize: -1,
			PoolSize: s.pool, PoolTimeout: s.timeout, ConnMaxIdleTime: s.idle, DisableIdentity: true,
			MaintNotificationsConfig: quiet,
		})
	}
	return client.NewClient(&client.Options{
		Network: s.network, Addr: s.addrs[0],
		Dialer: dial, Protocol: 2, Username: s.username, Password: s.password, DB: s.db,
		MaxRetries: -1, DialTimeout: s.connectTimeout(), DialerRetries: 1,
		ReadTimeout: s.timeout, WriteTimeout: s.timeout, ContextTimeoutEnabled: true,
		ReadBufferSize: buffer, WriteBufferSize: buffer, PipelinePoolSize: -1,
		PoolSize: s.pool, PoolTimeout: s.timeout, ConnMaxIdleTime: s.idle, DisableIdentity: true,
		MaintNotificationsConfig: quiet,
	})
}

// command is a command that the library must not send twice by itself, which
// it does in a cluster for any network error.
type command struct{ *client.Cmd }

// NoRetry implements client.Cmder.
func (command) NoRetry() bool { return true }

func newCommand(ctx context.Context, args ...any) command {
	return command{client.NewCmd(ctx, args...)}
}
