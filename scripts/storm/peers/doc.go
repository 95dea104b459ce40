// Package peers drives other servers of the prefork kind through the same
// storm: nginx, Apache httpd, gunicorn and ours, with the same load, the same
// reloads and the same kills, one after the other on one machine.
package peers
