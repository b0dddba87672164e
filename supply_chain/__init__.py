"""What the images are made of, and what is known against it: bills of materials and the scan for vulnerabilities. docs/supply-chain.md."""
