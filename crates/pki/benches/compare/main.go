// The same certificate as benches/issue.rs by Go's crypto/x509: microseconds each, of the fastest batch.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func template(ca bool) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	check(err)
	made := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "node"},
		NotBefore:             time.Now().Add(-5 * time.Minute),
		NotAfter:              time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: ca,
		IsCA:                  ca,
	}
	if ca {
		made.KeyUsage = x509.KeyUsageCertSign
		return made
	}
	made.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	made.DNSNames = []string{"etcdone", "etcdone.example.com", "localhost"}
	made.IPAddresses = []net.IP{net.ParseIP("192.168.29.61"), net.ParseIP("127.0.0.1"), net.ParseIP("::1")}
	return made
}

func main() {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	caTemplate := template(true)
	der, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, &caKey.PublicKey, caKey)
	check(err)
	ca, err := x509.ParseCertificate(der)
	check(err)
	best := time.Hour
	for batch := 0; batch < 20; batch++ {
		start := time.Now()
		for i := 0; i < 100; i++ {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			check(err)
			der, err := x509.CreateCertificate(rand.Reader, template(false), ca, &key.PublicKey, caKey)
			check(err)
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
			encoded, err := x509.MarshalPKCS8PrivateKey(key)
			check(err)
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
		}
		best = min(best, time.Since(start)/100)
	}
	fmt.Printf("%.1f\n", float64(best.Nanoseconds())/1000)
}
