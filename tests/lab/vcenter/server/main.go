// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The lab's vCenter: VMware's simulator (govmomi) in front of which uploads are kept, exports are served and each call
// is noted. Everything is in memory but the disks; a restart is a new vCenter.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type lab struct {
	registry     *simulator.Registry
	service      *simulator.Service
	faults       faultBox
	disks        string
	address      string
	finger       string
	leaseTimeout time.Duration

	mu      sync.Mutex
	leases  map[string]*lease
	version int64
	news    chan struct{}
}

func (l *lab) base() string {
	if l.faults.get().StarURL {
		_, port, _ := net.SplitHostPort(l.address)
		return "https://*:" + port
	}
	return "https://" + l.address
}

func (l *lab) thumbprint() string {
	switch faults := l.faults.get(); {
	case faults.NoThumbprint:
		return ""
	case faults.WrongThumbprint:
		return "DE:AD:BE:EF" + l.finger[11:]
	}
	return l.finger
}

func (l *lab) datacenter(e mo.Entity) *simulator.Datacenter {
	for {
		if dc, ok := e.(*simulator.Datacenter); ok {
			return dc
		}
		if e.Entity().Parent == nil {
			return nil
		}
		e = l.registry.Get(*e.Entity().Parent).(mo.Entity)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// certificates makes the lab's authority once, and a fresh server certificate from it.
func certificates(folder string) (tls.Certificate, string) {
	caFile, caKeyFile := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "ca-key.pem")
	certPEM, err1 := os.ReadFile(caFile)
	keyPEM, err2 := os.ReadFile(caKeyFile)
	serial := func() *big.Int { n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); return n }
	if err1 != nil || err2 != nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(err)
		template := &x509.Certificate{
			SerialNumber: serial(), Subject: pkix.Name{CommonName: "cloudexit lab authority"}, IsCA: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0), BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		check(err)
		keyDER, err := x509.MarshalECPrivateKey(key)
		check(err)
		certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		keyPEM = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
		check(os.WriteFile(caKeyFile, keyPEM, 0o600))
		check(os.WriteFile(caFile, certPEM, 0o644))
	}
	ca, err := tls.X509KeyPair(certPEM, keyPEM)
	check(err)
	authority, err := x509.ParseCertificate(ca.Certificate[0])
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "vcenter.lab"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "vcenter.lab"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), ca.PrivateKey)
	check(err)
	sum := sha1.Sum(der)
	var print []string
	for _, b := range sum {
		print = append(print, fmt.Sprintf("%02X", b))
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, strings.Join(print, ":")
}

func main() {
	listen := flag.String("listen", "127.0.0.1:21021", "host:port of the vCenter (https)")
	control := flag.String("control", "127.0.0.1:21020", "host:port of the lab's own control (http)")
	data := flag.String("data", "", "folder of disks and certificates")
	calls := flag.String("calls", "", "file that gets a line for each call")
	user := flag.String("user", "administrator@vsphere.local", "the one user")
	capacity := flag.Int64("capacity-gib", 2048, "size of each datastore")
	free := flag.Int64("free-gib", 1024, "free space of each datastore")
	timeout := flag.Duration("lease-timeout", 300*time.Second, "an NFC lease without progress ends after this")
	flag.Parse()
	password := os.Getenv("LAB_VCENTER_PASSWORD")
	if *data == "" || *calls == "" || password == "" {
		log.Fatal("-data, -calls and LAB_VCENTER_PASSWORD are needed")
	}

	l := &lab{
		disks: filepath.Join(*data, "disks"), address: *listen, leaseTimeout: *timeout,
		leases: map[string]*lease{}, news: make(chan struct{}), version: 1,
	}
	check(os.RemoveAll(l.disks))
	check(os.MkdirAll(l.disks, 0o755))
	temporary := filepath.Join(*data, "tmp") // the simulator keeps its datastores' folders there
	check(os.RemoveAll(temporary))
	check(os.MkdirAll(temporary, 0o755))
	check(os.Setenv("TMPDIR", temporary))
	file, err := os.OpenFile(*calls, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	check(err)

	model := simulator.VPX()
	model.Machine, model.Host, model.ClusterHost, model.Datastore, model.Portgroup, model.Pool = 0, 1, 2, 2, 2, 1
	check(model.Create())
	l.service = model.Service
	l.registry = model.Map()
	l.service.RegisterEndpoints = true
	l.service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, password)}
	inner := l.service.NewServer() // sets the mux up; its own port stays unused and is closed
	inner.Server.Close()
	_ = l.registry.OptionManager().UpdateOptions(&types.UpdateOptions{ChangedValue: []types.BaseOptionValue{
		&types.OptionValue{Key: "vcsim.server.url", Value: "https://" + *listen + "/sdk"}}})

	for _, name := range []string{"LocalDS_0", "LocalDS_1"} {
		l.setDatastore(name, *capacity<<30, *free<<30)
	}
	d := &desk{lab: l}
	d.Self = deskRef
	l.registry.Put(d)
	o := &observer{lab: l}
	o.Self = types.ManagedObjectReference{Type: "HostPatchManager", Value: "lab-observer"}
	l.registry.AddHandler(o)
	l.registry.Handler = l.route
	go l.watch()

	certificate, finger := certificates(*data)
	l.finger = finger
	mux := http.NewServeMux()
	mux.HandleFunc("/nfc/", l.serveNFC)
	mux.Handle("/", l.service.ServeMux)
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	quiet := log.New(os.Stderr, "http: ", log.LstdFlags)
	front := &http.Server{
		Addr: *listen, Handler: (&callLog{file: file}).logged(mux), ErrorLog: quiet,
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as hosts speak for NFC
	}
	back := &http.Server{Addr: *control, Handler: l.control(), ErrorLog: quiet}
	go func() { check(back.ListenAndServe()) }()
	go func() { check(front.ListenAndServeTLS("", "")) }()
	log.Printf("vCenter on https://%s, control on http://%s", *listen, *control)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	model.Remove()
	_ = os.RemoveAll(temporary)
}
