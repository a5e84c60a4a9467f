// A second complete CMS implementation as judge of ours: one command a line on standard input, one answer a
// line on standard output. Files are DER; keys are PKCS#8.
//
//   sign pkcs1|pss CERT KEY IN OUT      encrypt gcm|cbc CERT IN OUT
//   decrypt CERT KEY IN OUT             verify CERT ROOT IN OUT
//
// The answer is "ok" or "cannot" and why.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.Key;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.List;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.spec.SecretKeySpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.bouncycastle.asn1.ASN1InputStream;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientIdentifier;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientInfo;
import org.bouncycastle.asn1.cms.OriginatorIdentifierOrKey;
import org.bouncycastle.asn1.cms.OriginatorPublicKey;
import org.bouncycastle.asn1.cms.RecipientEncryptedKey;
import org.bouncycastle.asn1.cms.RecipientInfo;
import org.bouncycastle.asn1.cms.ecc.ECCCMSSharedInfo;
import org.bouncycastle.asn1.edec.EdECObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.bouncycastle.crypto.generators.HKDFBytesGenerator;
import org.bouncycastle.crypto.params.HKDFParameters;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.GenericKey;
import org.bouncycastle.operator.InputDecryptor;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.util.Pack;
import java.security.KeyPairGenerator;
import java.security.KeyPair;

public class BouncyCastle {
    static X509Certificate certificate(String file) throws Exception {
        byte[] der = Files.readAllBytes(Path.of(file));
        return (X509Certificate) CertificateFactory.getInstance("X.509", "BC")
                .generateCertificate(new ByteArrayInputStream(der));
    }

    static PrivateKey key(X509Certificate certificate, String file) throws Exception {
        String algorithm = certificate.getPublicKey().getAlgorithm();
        return KeyFactory.getInstance(algorithm, "BC")
                .generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(Path.of(file))));
    }

    static String scheme(X509Certificate certificate, boolean pss) {
        String algorithm = certificate.getPublicKey().getAlgorithm();
        if (algorithm.equals("RSA")) {
            return pss ? "SHA256withRSAandMGF1" : "SHA256withRSA";
        }
        if (algorithm.startsWith("Ed")) {
            return "Ed25519";
        }
        int bits = ((java.security.interfaces.ECPublicKey) certificate.getPublicKey()).getParams().getOrder().bitLength();
        return bits > 256 ? "SHA384withECDSA" : "SHA256withECDSA";
    }

    static byte[] sign(boolean pss, X509Certificate certificate, PrivateKey key, byte[] content) throws Exception {
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(
                new JcaDigestCalculatorProviderBuilder().setProvider("BC").build())
                .build(new JcaContentSignerBuilder(scheme(certificate, pss)).setProvider("BC").build(key), certificate));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        return generator.generate(new CMSProcessableByteArray(content), true).getEncoded();
    }

    static RecipientInfoGenerator recipient(X509Certificate certificate) throws Exception {
        String algorithm = certificate.getPublicKey().getAlgorithm();
        if (algorithm.equals("RSA")) {
            OAEPParameterSpec oaep = new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256,
                    PSource.PSpecified.DEFAULT);
            AlgorithmIdentifier identifier = new JcaAlgorithmParametersConverter()
                    .getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, oaep);
            return new JceKeyTransRecipientInfoGenerator(certificate, identifier).setProvider("BC");
        }
        if (algorithm.startsWith("X")) {
            return new X25519Writer(certificate);
        }
        KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC", "BC");
        pairs.initialize(((java.security.interfaces.ECPublicKey) certificate.getPublicKey()).getParams());
        KeyPair ephemeral = pairs.generateKeyPair();
        return new JceKeyAgreeRecipientInfoGenerator(CMSAlgorithm.ECDH_SHA256KDF,
                ephemeral.getPrivate(), ephemeral.getPublic(), CMSAlgorithm.AES256_WRAP)
                .addRecipient(certificate).setProvider("BC");
    }

    // This release of the library knows X25519, HKDF and key agreement in CMS, and not the scheme that RFC 8418 makes of
    // the three: it is put together here from the library's parts.
    static final ASN1ObjectIdentifier HKDF_SHA256 = new ASN1ObjectIdentifier("1.2.840.113549.1.9.16.3.19");

    static SecretKeySpec agreed(PrivateKey ours, PublicKey theirs, AlgorithmIdentifier wrap, byte[] ukm) throws Exception {
        KeyAgreement agreement = KeyAgreement.getInstance("X25519", "BC");
        agreement.init(ours);
        agreement.doPhase(theirs, true);
        byte[] info = new ECCCMSSharedInfo(wrap, ukm, Pack.intToBigEndian(256)).getEncoded("DER");
        HKDFBytesGenerator hkdf = new HKDFBytesGenerator(new SHA256Digest());
        hkdf.init(new HKDFParameters(agreement.generateSecret(), null, info));
        byte[] key = new byte[32];
        hkdf.generateBytes(key, 0, key.length);
        return new SecretKeySpec(key, "AES");
    }

    record X25519Writer(X509Certificate certificate) implements RecipientInfoGenerator {
        public RecipientInfo generate(GenericKey content) throws CMSException {
            try {
                AlgorithmIdentifier wrap = new AlgorithmIdentifier(CMSAlgorithm.AES256_WRAP);
                KeyPair ephemeral = KeyPairGenerator.getInstance("X25519", "BC").generateKeyPair();
                Cipher cipher = Cipher.getInstance("AESWrap", "BC");
                cipher.init(Cipher.WRAP_MODE, agreed(ephemeral.getPrivate(), certificate.getPublicKey(), wrap, null));
                Object octets = content.getRepresentation();
                byte[] wrapped = cipher.wrap(octets instanceof Key key ? key : new SecretKeySpec((byte[]) octets, "AES"));
                SubjectPublicKeyInfo point = SubjectPublicKeyInfo.getInstance(ephemeral.getPublic().getEncoded());
                X509CertificateHolder holder = new X509CertificateHolder(certificate.getEncoded());
                KeyAgreeRecipientIdentifier who =
                        new KeyAgreeRecipientIdentifier(new IssuerAndSerialNumber(holder.toASN1Structure()));
                return new RecipientInfo(new KeyAgreeRecipientInfo(
                        new OriginatorIdentifierOrKey(new OriginatorPublicKey(
                                new AlgorithmIdentifier(EdECObjectIdentifiers.id_X25519), point.getPublicKeyData().getBytes())),
                        null, new AlgorithmIdentifier(HKDF_SHA256, wrap),
                        new DERSequence(new RecipientEncryptedKey(who, new DEROctetString(wrapped)))));
            } catch (Exception fault) {
                throw new CMSException("X25519", fault);
            }
        }
    }

    record X25519Reader(PrivateKey key) implements KeyAgreeRecipient {
        public AlgorithmIdentifier getPrivateKeyAlgorithmIdentifier() {
            return new AlgorithmIdentifier(EdECObjectIdentifiers.id_X25519);
        }

        public RecipientOperator getRecipientOperator(AlgorithmIdentifier agreement, AlgorithmIdentifier content,
                SubjectPublicKeyInfo sender, ASN1OctetString ukm, byte[] wrapped) throws CMSException {
            try {
                if (!agreement.getAlgorithm().equals(HKDF_SHA256)) {
                    throw new CMSException("another scheme: " + agreement.getAlgorithm());
                }
                SubjectPublicKeyInfo point = new SubjectPublicKeyInfo(
                        new AlgorithmIdentifier(EdECObjectIdentifiers.id_X25519), sender.getPublicKeyData().getBytes());
                PublicKey theirs = KeyFactory.getInstance("X25519", "BC")
                        .generatePublic(new X509EncodedKeySpec(point.getEncoded()));
                Cipher unwrap = Cipher.getInstance("AESWrap", "BC");
                unwrap.init(Cipher.UNWRAP_MODE, agreed(key, theirs,
                        AlgorithmIdentifier.getInstance(agreement.getParameters()), ukm == null ? null : ukm.getOctets()));
                String oid = content.getAlgorithm().getId();
                Cipher cipher = Cipher.getInstance(oid, "BC");
                AlgorithmParameters parameters = AlgorithmParameters.getInstance(oid, "BC");
                parameters.init(content.getParameters().toASN1Primitive().getEncoded());
                cipher.init(Cipher.DECRYPT_MODE, unwrap.unwrap(wrapped, oid, Cipher.SECRET_KEY), parameters);
                return new RecipientOperator(new InputDecryptor() {
                    public AlgorithmIdentifier getAlgorithmIdentifier() {
                        return content;
                    }

                    public InputStream getInputStream(InputStream octets) {
                        try {
                            // At once: a stream would hide a wrong tag.
                            return new ByteArrayInputStream(cipher.doFinal(octets.readAllBytes()));
                        } catch (Exception fault) {
                            throw new IllegalStateException(fault);
                        }
                    }
                });
            } catch (CMSException fault) {
                throw fault;
            } catch (Exception fault) {
                throw new CMSException("X25519", fault);
            }
        }
    }

    static byte[] encrypt(boolean gcm, X509Certificate certificate, byte[] content) throws Exception {
        CMSTypedData data = new CMSProcessableByteArray(content);
        if (gcm) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            generator.addRecipientInfoGenerator(recipient(certificate));
            return generator.generate(data, (OutputAEADEncryptor) new JceCMSContentEncryptorBuilder(
                    CMSAlgorithm.AES256_GCM).setProvider("BC").build()).getEncoded();
        }
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(recipient(certificate));
        return generator.generate(data, new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC)
                .setProvider("BC").build()).getEncoded();
    }

    static byte[] decrypt(X509Certificate certificate, PrivateKey key, byte[] cms) throws Exception {
        ContentInfo info = ContentInfo.getInstance(new ASN1InputStream(cms).readObject());
        RecipientInformationStore recipients = info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData)
                ? new CMSAuthEnvelopedData(cms).getRecipientInfos()
                : new CMSEnvelopedData(cms).getRecipientInfos();
        boolean transport = certificate.getPublicKey().getAlgorithm().equals("RSA");
        RecipientId id = transport ? new JceKeyTransRecipientId(certificate) : new JceKeyAgreeRecipientId(certificate);
        RecipientInformation ours = recipients.get(id);
        if (ours == null) {
            throw new CMSException("not for this certificate");
        }
        Recipient recipient = transport ? new JceKeyTransEnvelopedRecipient(key).setProvider("BC")
                : certificate.getPublicKey().getAlgorithm().startsWith("X") ? new X25519Reader(key)
                : new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC");
        return ours.getContent(recipient);
    }

    static byte[] verify(X509Certificate certificate, X509Certificate root, byte[] cms) throws Exception {
        CMSSignedData signed = new CMSSignedData(cms);
        if (signed.getSignerInfos().size() != 1) {
            throw new CMSException("not one signer");
        }
        SignerInformation signer = signed.getSignerInfos().iterator().next();
        X509CertificateHolder found =
                (X509CertificateHolder) signed.getCertificates().getMatches(signer.getSID()).iterator().next();
        if (!java.util.Arrays.equals(found.getEncoded(), certificate.getEncoded())) {
            throw new CMSException("another signer");
        }
        certificate.verify(root.getPublicKey(), "BC");
        if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate))) {
            throw new CMSException("the signature is wrong");
        }
        return (byte[]) signed.getSignedContent().getContent();
    }

    static String why(Throwable fault) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = fault; cause != null; cause = cause.getCause()) {
            text.append(text.length() > 0 ? ": " : "").append(cause.getMessage());
        }
        return text.toString().replaceAll("\\s+", " ");
    }

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        System.out.println(new BouncyCastleProvider().getInfo());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            try {
                byte[] input = Files.readAllBytes(Path.of(words[words.length - 2]));
                X509Certificate certificate = certificate(words[2]);
                byte[] output = switch (words[0]) {
                    case "sign" -> sign(words[1].equals("pss"), certificate, key(certificate, words[3]), input);
                    case "encrypt" -> encrypt(words[1].equals("gcm"), certificate, input);
                    case "decrypt" -> decrypt(certificate, key(certificate, words[3]), input);
                    case "verify" -> verify(certificate, certificate(words[3]), input);
                    default -> throw new IllegalArgumentException(words[0]);
                };
                Files.write(Path.of(words[words.length - 1]), output);
                System.out.println("ok");
            } catch (Throwable fault) {
                System.out.println("cannot " + why(fault));
            }
        }
    }
}
