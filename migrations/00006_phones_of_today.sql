-- Gives phones in forms that were replaced the form that the service now reads. A user keeps the old form if another
-- user has the new one. Every condition begins with a range of phones, which the index on phone finds.

-- Palestine under the calling code of Israel.
update users set phone = '+970' || substr(phone, 5)
where (phone >= '+97256' and phone < '+97257' or phone >= '+97259' and phone < '+9725:') and length(phone) = 13
	and not exists (select 1 from users as other where other.phone = '+970' || substr(users.phone, 5));

-- Kosovo under the calling codes of Monaco and Slovenia.
update users set phone = '+383' || substr(phone, 5)
where (phone >= '+37744' and phone < '+37746' or phone >= '+38643' and phone < '+38644'
	or phone >= '+38649' and phone < '+3864:') and length(phone) = 12
	and not exists (select 1 from users as other where other.phone = '+383' || substr(users.phone, 5));

-- Gabon, with the 0 of the old form and without it.
update users set phone = '+2416' || substr(phone, 6)
where phone >= '+24102' and phone < '+24107' and length(phone) = 12 and substr(phone, 6, 1) in ('2', '5', '6')
	and not exists (select 1 from users as other where other.phone = '+2416' || substr(users.phone, 6));

update users set phone = '+2417' || substr(phone, 6)
where phone >= '+24104' and phone < '+24108' and length(phone) = 12 and substr(phone, 6, 1) in ('4', '7')
	and not exists (select 1 from users as other where other.phone = '+2417' || substr(users.phone, 6));

update users set phone = '+2416' || substr(phone, 5)
where phone >= '+2412' and phone < '+2417' and length(phone) = 11 and substr(phone, 5, 1) in ('2', '5', '6')
	and not exists (select 1 from users as other where other.phone = '+2416' || substr(users.phone, 5));

update users set phone = '+2417' || substr(phone, 5)
where phone >= '+2414' and phone < '+2418' and length(phone) = 11 and substr(phone, 5, 1) in ('4', '7')
	and not exists (select 1 from users as other where other.phone = '+2417' || substr(users.phone, 5));

-- Ivory Coast.
update users set phone = '+22501' || substr(phone, 5)
where phone >= '+2250' and phone < '+225:' and length(phone) = 12
	and substr(phone, 5, 1) not in ('1', '2', '3') and substr(phone, 6, 1) in ('0', '1', '2', '3')
	and not exists (select 1 from users as other where other.phone = '+22501' || substr(users.phone, 5));

update users set phone = '+22505' || substr(phone, 5)
where phone >= '+2250' and phone < '+225:' and length(phone) = 12
	and substr(phone, 5, 1) not in ('1', '2', '3') and substr(phone, 6, 1) in ('4', '5', '6')
	and not exists (select 1 from users as other where other.phone = '+22505' || substr(users.phone, 5));

update users set phone = '+22507' || substr(phone, 5)
where phone >= '+2250' and phone < '+225:' and length(phone) = 12
	and substr(phone, 5, 1) not in ('1', '2', '3') and substr(phone, 6, 1) in ('7', '8', '9')
	and not exists (select 1 from users as other where other.phone = '+22507' || substr(users.phone, 5));

-- Benin.
update users set phone = '+22901' || substr(phone, 5)
where phone >= '+2292' and phone < '+229:' and length(phone) = 12
	and not exists (select 1 from users as other where other.phone = '+22901' || substr(users.phone, 5));

-- Mexico.
update users set phone = '+52' || substr(phone, 5)
where phone >= '+521' and phone < '+522' and length(phone) = 14
	and not exists (select 1 from users as other where other.phone = '+52' || substr(users.phone, 5));

-- Argentina.
update users set phone = '+549' || substr(phone, 4)
where phone >= '+541' and phone < '+549' and length(phone) = 13
	and not exists (select 1 from users as other where other.phone = '+549' || substr(users.phone, 4));

-- Brazil.
update users set phone = '+55' || substr(phone, 4, 2) || '9' || substr(phone, 6)
where phone >= '+551' and phone < '+55:' and length(phone) = 13 and substr(phone, 6, 1) in ('6', '7', '8', '9')
	and not exists (select 1 from users as other
		where other.phone = '+55' || substr(users.phone, 4, 2) || '9' || substr(users.phone, 6));
