// Judges a folder of certificates with crypto/x509 and crypto/tls.
//
// Every line of standard input is one case: a verb, then its arguments, separated by tabs.
// Every line of output is the verdict: "ok", or the error's type and text.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		var err error
		switch fields[0] {
		case "verify":
			err = verify(fields[1], fields[2], fields[3], fields[4])
		case "handshake":
			err = handshake(fields[1], fields[2], fields[3], fields[4], fields[5])
		case "judge":
			err = judge(fields[1], fields[2], fields[3], fields[4], fields[5])
		case "authority":
			err = authority(fields[1], fields[2])
		case "leaf":
			err = leaf(fields[1], fields[2], fields[3], fields[4], fields[5])
		default:
			err = fmt.Errorf("unknown verb %q", fields[0])
		}
		if err == nil {
			fmt.Println("ok")
		} else {
			fmt.Printf("%T: %v\n", err, err)
		}
	}
}

func pool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", path)
	}
	return roots, nil
}

// verify judges a certificate as "server" for a name or address, or as "client".
func verify(ca, path, usage, name string) error {
	roots, err := pool(ca)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if usage == "server" {
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		options.DNSName = name
	}
	_, err = certificate.Verify(options)
	return err
}

// judge judges a file with a certificate and those sent along with it, at a time in seconds since 1970.
func judge(ca, path, usage, name, seconds string) error {
	roots, err := pool(ca)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{
		Roots:         roots,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   time.Unix(at, 0),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if usage == "server" {
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		options.DNSName = name
	}
	block, rest := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	// One that cannot be read helps nobody.
	for block, rest = pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if between, err := x509.ParseCertificate(block.Bytes); err == nil {
			options.Intermediates.AddCert(between)
		}
	}
	_, err = certificate.Verify(options)
	return err
}

// leaf writes a server's certificate below an authority as Go makes it: names in PrintableString, organizations in one
// set, a key usage that elliptic curve keys cannot use. It is valid from a time in seconds since 1970, for 90 days.
func leaf(caPath, caKeyPath, certificate, keyPath, seconds string) error {
	pair, err := tls.LoadX509KeyPair(caPath, caKeyPath)
	if err != nil {
		return err
	}
	parent, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "web", Organization: []string{"b", "a"}},
		NotBefore:             time.Unix(at, 0),
		NotAfter:              time.Unix(at, 0).Add(90*24*time.Hour - time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"web.example.com", "a.example.com"},
		IPAddresses:           []net.IP{net.IPv4(10, 0, 0, 7)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, pair.PrivateKey)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certificate, text, 0o600); err != nil {
		return err
	}
	return os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600)
}

// handshake runs mutual TLS over a pipe: server pair, client pair, version.
func handshake(ca, server, client, name, version string) error {
	roots, err := pool(ca)
	if err != nil {
		return err
	}
	serverPair, err := tls.LoadX509KeyPair(server+".crt", server+".key")
	if err != nil {
		return err
	}
	clientPair, err := tls.LoadX509KeyPair(client+".crt", client+".key")
	if err != nil {
		return err
	}
	number := uint16(tls.VersionTLS13)
	if version == "1.2" {
		number = tls.VersionTLS12
	}
	left, right := net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	_ = left.SetDeadline(deadline)
	_ = right.SetDeadline(deadline)
	result := make(chan error, 1)
	go func() {
		connection := tls.Server(left, &tls.Config{
			Certificates: []tls.Certificate{serverPair},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    roots,
			MinVersion:   number,
			MaxVersion:   number,
		})
		err := connection.Handshake()
		if err == nil {
			_, err = io.WriteString(connection, "hello")
		}
		_ = left.Close()
		result <- err
	}()
	connection := tls.Client(right, &tls.Config{
		Certificates: []tls.Certificate{clientPair},
		RootCAs:      roots,
		ServerName:   name,
		MinVersion:   number,
		MaxVersion:   number,
	})
	clientErr := connection.Handshake()
	if clientErr == nil {
		// In TLS 1.3 the server judges after the client is done.
		_, clientErr = io.ReadFull(connection, make([]byte, 5))
	}
	_ = right.Close()
	if err := <-result; err != nil && clientErr == nil {
		return err
	}
	return clientErr
}

// authority writes a self-signed authority as Go makes it, with a SHA-256 subject key identifier.
func authority(certificate, keyPath string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "made by Go", Organization: []string{"one", "two"}},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certificate, text, 0o600); err != nil {
		return err
	}
	return os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600)
}
