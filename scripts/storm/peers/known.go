package peers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// httpdModules is where Debian has Apache's modules.
const httpdModules = "/usr/lib/apache2/modules"

// Known gives the peers, as Debian 12 packages them, and ours: the binary of
// prefork and a worker's command.
func Known(prefork string, worker []string) []Peer {
	return []Peer{
		{Name: "prefork, Go worker", Reload: syscall.SIGHUP, Stop: syscall.SIGTERM, Prepare: preparePrefork(prefork, worker)},
		{Name: "nginx", Reload: syscall.SIGHUP, Stop: syscall.SIGTERM, Prepare: prepareNginx},
		{Name: "httpd prefork", Reload: syscall.SIGUSR1, Stop: syscall.SIGTERM, Prepare: prepareHTTPD},
		{Name: "gunicorn sync", Reload: syscall.SIGHUP, Stop: syscall.SIGTERM, Prepare: prepareGunicorn("sync")},
		{Name: "gunicorn gthread", Reload: syscall.SIGHUP, Stop: syscall.SIGTERM, Prepare: prepareGunicorn("gthread", "--threads", "4", "--keep-alive", "5")},
	}
}

func preparePrefork(binary string, worker []string) func(string, string, int) ([]string, error) {
	return func(dir, address string, workers int) ([]string, error) {
		args := []string{binary, "run", "-w", strconv.Itoa(workers), "-l", address, "--control", filepath.Join(dir, "control.sock"), "--"}
		return append(args, worker...), nil
	}
}

// find looks for a program that a Debian package has.
func find(program, where string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	if _, err := os.Stat(where); err != nil {
		return "", fmt.Errorf("%s is not installed", program)
	}
	return where, nil
}

func prepareNginx(dir, address string, workers int) ([]string, error) {
	program, err := find("nginx", "/usr/sbin/nginx")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`daemon off;
worker_processes %d;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	server {
		listen %[3]s;
		location / {
			add_header X-Worker $pid;
			return 200 "ok\n";
		}
	}
}
`, workers, dir, address)
	conf := filepath.Join(dir, "nginx.conf")
	return []string{program, "-e", filepath.Join(dir, "error.log"), "-c", conf}, os.WriteFile(conf, []byte(text), 0o644)
}

// prepareHTTPD gives httpd a process for each of the clients: with fewer, the
// kept connections would hold all of them.
func prepareHTTPD(dir, address string, workers int) ([]string, error) {
	program, err := find("apache2", "/usr/sbin/apache2")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(httpdModules + "/mod_mpm_prefork.so"); err != nil {
		return nil, fmt.Errorf("httpd's prefork module: %w", err)
	}
	processes := workers + httpdProcesses
	text := fmt.Sprintf(`ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/httpd.pid
Listen %[2]s
LoadModule mpm_prefork_module %[3]s/mod_mpm_prefork.so
LoadModule authz_core_module %[3]s/mod_authz_core.so
DefaultRuntimeDir %[1]s
Mutex default:%[1]s
User www-data
Group www-data
StartServers %[4]d
MinSpareServers %[4]d
MaxSpareServers %[4]d
MaxRequestWorkers %[4]d
KeepAlive On
MaxKeepAliveRequests 0
ErrorLog %[1]s/error.log
DocumentRoot %[1]s/www
`, dir, address, httpdModules, processes)
	conf := filepath.Join(dir, "httpd.conf")
	return []string{program, "-f", conf, "-DFOREGROUND"}, errors.Join(
		os.WriteFile(conf, []byte(text), 0o644),
		os.Mkdir(filepath.Join(dir, "www"), 0o755),
		os.WriteFile(filepath.Join(dir, "www", "ok"), []byte("ok\n"), 0o644),
	)
}

// httpdProcesses is how many processes httpd gets above the worker count.
const httpdProcesses = 16

const wsgi = `import os

def app(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3"), ("X-Worker", str(os.getpid()))])
    return [b"ok\n"]
`

func prepareGunicorn(class string, more ...string) func(string, string, int) ([]string, error) {
	return func(dir, address string, workers int) ([]string, error) {
		program, err := find("gunicorn", "/usr/bin/gunicorn")
		if err != nil {
			return nil, err
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, err
		}
		args := append([]string{program, "-w", strconv.Itoa(workers), "-k", class, "-b", address, "--log-level", "warning"}, more...)
		return append(args, "app:app"), os.WriteFile(filepath.Join(dir, "app.py"), []byte(wsgi), 0o644)
	}
}
